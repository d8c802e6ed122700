/**
 * Requests and their answers: sequence numbers, lists in several parts, refusals
 * and what to do when the kernel could not tell all.
 *
 * @module
 */

import { ERRNO, SystemCallError } from "../errno.ts";
import {
  aligned,
  ANSWER_FLAG,
  CONTROL,
  decodeAttributes,
  decodeMessages,
  encodeMessage,
  type NetlinkMessage,
  readText,
  REQUEST_FLAG,
} from "./codec.ts";
import { BadNetlinkMessageError, NetlinkError } from "./errors.ts";
import type { NetlinkTransport } from "./netlink_transport.ts";
import type { NetlinkRequest } from "./request.ts";

/** `NLMSGERR_ATTR_MSG`: a sentence about the refusal. */
const NLMSGERR_ATTR_MSG = 1;
/** Bytes of the error number, and of the request's header behind it. */
const ERROR_BYTES = 4;
const ECHOED_HEADER_BYTES = 16;

/** How often a list is read again when it changed meanwhile or was cut short. */
const LIST_ATTEMPTS = 10;

/** The kernel's last word on a request: 0 is consent. */
interface Verdict {
  readonly errno: number;
  readonly detail: string | undefined;
}

/** Everything that the kernel said to one request. */
interface Conversation {
  readonly payloads: Uint8Array[];
  readonly verdict: Verdict;
  /** The list changed while it was read: it may lack or repeat entries. */
  readonly interrupted: boolean;
}

/** One request at a time over one transport. Every failure is a {@linkcode NetlinkError}. */
export class NetlinkClient implements Disposable {
  readonly #transport: NetlinkTransport;
  #sequence = 0;

  constructor(transport: NetlinkTransport) {
    this.#transport = transport;
  }

  /**
   * Makes a change or asks one thing; the payloads of the answers.
   *
   * @param what What is attempted, after "Cannot": "set the MTU of eth0".
   */
  request(what: string, request: NetlinkRequest): Uint8Array[] {
    const { payloads, verdict } = this.#tryConversation(
      what,
      request,
      REQUEST_FLAG.ACK,
    );
    throwRefusal(what, verdict);
    return payloads;
  }

  /**
   * Lists all entries of a table at one moment: a list that changed while it was
   * read, or that the kernel had no memory for, is read again.
   */
  list(what: string, request: NetlinkRequest): Uint8Array[] {
    let errno: number = ERRNO.EAGAIN;
    for (let attempt = 0; attempt < LIST_ATTEMPTS; attempt++) {
      try {
        const { payloads, verdict, interrupted } = this.#tryConversation(
          what,
          request,
          REQUEST_FLAG.DUMP,
        );
        throwRefusal(what, verdict);
        if (!interrupted) return payloads;
        errno = ERRNO.EAGAIN;
      } catch (error) {
        if (!(error instanceof NetlinkError && error.errno === ERRNO.ENOBUFS)) {
          throw error;
        }
        errno = ERRNO.ENOBUFS;
      }
    }
    throw new NetlinkError(what, errno, {
      detail: errno === ERRNO.ENOBUFS
        ? `an answer was lost in each of ${LIST_ATTEMPTS} attempts`
        : `the list changed during each of ${LIST_ATTEMPTS} attempts`,
      hint: "try again when the host is less busy",
    });
  }

  /** A conversation that broke off leaves no answers behind for the next one. */
  #tryConversation(
    what: string,
    request: NetlinkRequest,
    flags: number,
  ): Conversation {
    try {
      return this.#converse(request, flags);
    } catch (error) {
      this.#transport.reset();
      if (!(error instanceof SystemCallError)) throw error;
      throw new NetlinkError(what, error.errno, {
        cause: error,
        detail: error.errno === ERRNO.EAGAIN
          ? "no answer came in time"
          : undefined,
      });
    }
  }

  #converse(request: NetlinkRequest, flags: number): Conversation {
    const sequence = this.#nextSequence();
    this.#transport.send(encodeMessage({
      type: request.type,
      flags: REQUEST_FLAG.REQUEST | request.flags | flags,
      sequence,
      payload: request.payload,
    }));
    const payloads: Uint8Array[] = [];
    let interrupted = false;
    for (;;) {
      // A copy, because the transport uses its memory again.
      for (const message of decodeMessages(this.#transport.receive().slice())) {
        if (message.sequence !== sequence) continue;
        if (message.flags & ANSWER_FLAG.DUMP_INTERRUPTED) interrupted = true;
        switch (message.type) {
          case CONTROL.NOOP:
            break;
          case CONTROL.OVERRUN:
            throw new SystemCallError(
              "receive a netlink answer",
              ERRNO.ENOBUFS,
            );
          case CONTROL.ERROR:
          case CONTROL.DONE:
            return { payloads, verdict: verdictOf(message), interrupted };
          default:
            payloads.push(message.payload);
        }
      }
    }
  }

  /** 0 is what the kernel's own notifications carry. */
  #nextSequence(): number {
    this.#sequence = this.#sequence === 0xffff_ffff ? 1 : this.#sequence + 1;
    return this.#sequence;
  }

  [Symbol.dispose](): void {
    this.#transport[Symbol.dispose]();
  }
}

function throwRefusal(what: string, { errno, detail }: Verdict): void {
  if (errno !== 0) throw new NetlinkError(what, errno, { detail });
}

/** Reads an `NLMSG_ERROR` (0 is an acknowledgement) or the `NLMSG_DONE` of a list. */
function verdictOf({ type, flags, payload }: NetlinkMessage): Verdict {
  if (payload.length < ERROR_BYTES) {
    throw new BadNetlinkMessageError(
      `a verdict must have ${ERROR_BYTES} bytes or more`,
      payload.length,
    );
  }
  const view = new DataView(
    payload.buffer,
    payload.byteOffset,
    payload.byteLength,
  );
  const errno = -view.getInt32(0, true);
  if (!(flags & ANSWER_FLAG.ACK_ATTRIBUTES)) {
    return { errno, detail: undefined };
  }
  let offset = ERROR_BYTES;
  if (type === CONTROL.ERROR) {
    // The whole request is repeated when it is a refusal and not capped.
    offset += errno === 0 || flags & ANSWER_FLAG.CAPPED
      ? ECHOED_HEADER_BYTES
      : aligned(view.getUint32(ERROR_BYTES, true));
  }
  const text = decodeAttributes(payload.subarray(offset)).get(
    NLMSGERR_ATTR_MSG,
  );
  return { errno, detail: text && readText(text) };
}
