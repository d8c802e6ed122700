/**
 * Requests and answers: sequence numbers, multipart lists, refusals, and lost
 * answers.
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

/** How often a list is read if it changed meanwhile or was truncated. */
const LIST_ATTEMPTS = 10;

/**
 * Changes in one datagram. Refusals wait in the socket's memory until the kernel
 * has gone through all: 128 of about 1 KiB fit the usual 208 KiB.
 */
const CHANGES_PER_DATAGRAM = 128;

/** One change of many that the kernel did not make. */
export interface Refusal {
  /** Its place among the requests. */
  readonly index: number;
  readonly errno: number;
  /** The kernel's own sentence. */
  readonly detail: string | undefined;
}

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
    const { payloads, verdict } = this.#cleanly(
      what,
      () => this.#converse(request, REQUEST_FLAG.ACK),
    );
    throwRefusal(what, verdict);
    return payloads;
  }

  /**
   * Makes many independent changes with few system calls. Returns the refused
   * ones, in order.
   *
   * @param what What is attempted, after "Cannot": "put routes".
   */
  requestMany(what: string, requests: readonly NetlinkRequest[]): Refusal[] {
    const refusals: Refusal[] = [];
    for (let at = 0; at < requests.length; at += CHANGES_PER_DATAGRAM) {
      const some = requests.slice(at, at + CHANGES_PER_DATAGRAM);
      const verdicts = this.#cleanly(what, () => this.#converseMany(some));
      for (const [index, verdict] of verdicts) {
        refusals.push({ index: at + index, ...verdict });
      }
    }
    return refusals;
  }

  /**
   * Lists all entries of a table at one moment: a list that changed while it was
   * read, or that the kernel had no memory for, is read again.
   */
  list(what: string, request: NetlinkRequest): Uint8Array[] {
    let errno: number = ERRNO.EAGAIN;
    for (let attempt = 0; attempt < LIST_ATTEMPTS; attempt++) {
      try {
        const { payloads, verdict, interrupted } = this.#cleanly(
          what,
          () => this.#converse(request, REQUEST_FLAG.DUMP),
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

  /** An interrupted exchange must leave no answers for the next one. */
  #cleanly<Result>(what: string, converse: () => Result): Result {
    try {
      return converse();
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
    return this.#readUntil((message) => {
      if (message.sequence !== sequence) return undefined;
      if (message.flags & ANSWER_FLAG.DUMP_INTERRUPTED) interrupted = true;
      switch (message.type) {
        case CONTROL.ERROR:
        case CONTROL.DONE:
          return { payloads, verdict: verdictOf(message), interrupted };
        default:
          payloads.push(message.payload);
      }
    });
  }

  /**
   * The kernel always answers a refused change, so only the last one asks for an
   * acknowledgement: it comes when all others are done.
   */
  #converseMany(requests: readonly NetlinkRequest[]): Map<number, Verdict> {
    const indexes = new Map<number, number>();
    const messages = requests.map(({ type, flags, payload }, index) => {
      const sequence = this.#nextSequence();
      indexes.set(sequence, index);
      const last = index === requests.length - 1;
      return encodeMessage({
        type,
        flags: REQUEST_FLAG.REQUEST | flags | (last ? REQUEST_FLAG.ACK : 0),
        sequence,
        payload,
      });
    });
    this.#transport.send(concat(messages));
    const refusals = new Map<number, Verdict>();
    return this.#readUntil((message) => {
      const index = indexes.get(message.sequence);
      if (index === undefined || message.type !== CONTROL.ERROR) return;
      const verdict = verdictOf(message);
      if (verdict.errno !== 0) refusals.set(index, verdict);
      return index === requests.length - 1 ? refusals : undefined;
    });
  }

  /** Shows each answer to `read` until that has a result. */
  #readUntil<Result>(
    read: (message: NetlinkMessage) => Result | undefined,
  ): Result {
    for (;;) {
      // A copy, because the transport uses its memory again.
      for (const message of decodeMessages(this.#transport.receive().slice())) {
        if (message.type === CONTROL.OVERRUN) {
          throw new SystemCallError("receive a netlink answer", ERRNO.ENOBUFS);
        }
        if (message.type === CONTROL.NOOP) continue;
        const result = read(message);
        if (result !== undefined) return result;
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

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(
    parts.reduce((total, { length }) => total + length, 0),
  );
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function throwRefusal(what: string, { errno, detail }: Verdict): void {
  if (errno !== 0) throw new NetlinkError(what, errno, { detail });
}

/** Reads an `NLMSG_ERROR` (0 is an acknowledgement) or the `NLMSG_DONE` of a list. */
function verdictOf({ type, flags, payload }: NetlinkMessage): Verdict {
  // The header of a refused request is repeated.
  const leastBytes =
    type === CONTROL.ERROR && flags & ANSWER_FLAG.ACK_ATTRIBUTES
      ? ERROR_BYTES + ECHOED_HEADER_BYTES
      : ERROR_BYTES;
  if (payload.length < leastBytes) {
    throw new BadNetlinkMessageError(
      `a verdict must have ${leastBytes} bytes or more`,
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
