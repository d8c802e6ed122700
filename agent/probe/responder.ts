/**
 * Answers the probes of other hosts.
 *
 * Every limit here is of what a machine without rights could cause: the sender's
 * address was checked before, but can be forged where the underlay lets it.
 *
 * @module
 */

import { type Clock, slept } from "../../linux/clock.ts";
import type { Peer } from "../../net/peer.ts";
import {
  encodeProbe,
  MOST_CONTENT_BYTES,
  PROBE_HEADER_BYTES,
  type ProbeMessage,
} from "../../net/probe_message.ts";
import type { ProbedPeer } from "./peer_probes.ts";
import { type RateLimit, TokenBucket } from "./token_bucket.ts";

/** Of all hosts together. */
const ECHO_LIMIT: RateLimit = { perSecond: 200, burst: 200 };
const QUESTION_LIMIT: RateLimit = { perSecond: 4, burst: 8 };
/** Of as many peers, one each; what is asked meanwhile is dropped. */
const QUESTIONS_AT_ONCE = 4;
/** The asker does not wait longer. */
const QUESTION_MS = 2_000;

/**
 * Answers a question of another host (`agent/explain/`). `spaceBytes` is the
 * longest content that is sent; `undefined`: no answer.
 */
export type AnswerQuestion = (
  question: Uint8Array,
  asker: Peer,
  spaceBytes: number,
) => Promise<Uint8Array | undefined>;

/** See the module. */
export class Responder {
  readonly #clock: Clock;
  readonly #answer: AnswerQuestion | undefined;
  readonly #echoLimit: TokenBucket;
  readonly #questionLimit: TokenBucket;
  /** Peers whose question is being answered. */
  readonly #asking = new Set<string>();
  answered = 0;
  /** Not answered, because of a limit. */
  limited = 0;

  constructor(
    clock: Clock,
    answer: AnswerQuestion | undefined,
  ) {
    this.#clock = clock;
    this.#answer = answer;
    this.#echoLimit = new TokenBucket(clock, ECHO_LIMIT);
    this.#questionLimit = new TokenBucket(clock, QUESTION_LIMIT);
  }

  /** The reply to an echo request of a peer. */
  echo(from: ProbedPeer, { nonce }: ProbeMessage): Uint8Array | undefined {
    // The peer's own limit first: one peer must not use up what all have.
    if (!from.echoLimit.take() || !this.#echoLimit.take()) {
      this.limited++;
      return undefined;
    }
    this.answered++;
    return encodeProbe({
      kind: "echo-reply",
      nonce,
      content: new Uint8Array(),
    });
  }

  /**
   * The answer to a question of a peer.
   *
   * @param requestBytes of the datagram, which the answer does not exceed.
   */
  async question(
    from: ProbedPeer,
    { content, nonce }: ProbeMessage,
    requestBytes: number,
  ): Promise<Uint8Array | undefined> {
    if (this.#answer === undefined) return undefined;
    if (
      this.#asking.size >= QUESTIONS_AT_ONCE || this.#asking.has(from.key) ||
      !from.questionLimit.take() || !this.#questionLimit.take()
    ) {
      this.limited++;
      return undefined;
    }
    const spaceBytes = Math.min(
      requestBytes - PROBE_HEADER_BYTES,
      MOST_CONTENT_BYTES,
    );
    this.#asking.add(from.key);
    try {
      const answer = await this.#inTime(
        this.#answer(content.slice(), from.peer, spaceBytes),
      );
      if (answer === undefined || answer.length > spaceBytes) return undefined;
      this.answered++;
      return encodeProbe({ kind: "answer", nonce, content: answer });
    } finally {
      this.#asking.delete(from.key);
    }
  }

  async #inTime<Value>(finding: Promise<Value>): Promise<Value | undefined> {
    const over = new AbortController();
    try {
      return await Promise.race([
        finding,
        slept(this.#clock, QUESTION_MS, over.signal).then(() => undefined),
      ]);
    } finally {
      over.abort();
    }
  }
}
