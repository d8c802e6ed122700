/**
 * Detects dead connections.
 *
 * A connection that dies silently (packets dropped, a machine gone, a process
 * suspended) looks like an idle one. While a watch waits on it, a small request
 * is sent at intervals, and a connection that does not answer is closed.
 *
 * gRPC's keepalive uses HTTP/2 pings for this. But in Deno 2.7 `node:http2`
 * does not report the answers, so that each connection would be closed at its
 * first ping.
 *
 * @module
 */

import { type Clock, slept } from "../../linux/clock.ts";
import {
  KEEPALIVE_LIMIT_MS,
  KEEPALIVE_PAUSE_MS,
} from "../liveness/answer_times.ts";

/** What it works with. */
export interface KeepaliveComponents {
  readonly clock: Pick<Clock, "sleep">;
  /**
   * Sends a small request that the server answers at once; whether there was an
   * answer, even a refusal, within `limitMs`.
   */
  readonly ask: (limitMs: number) => Promise<boolean>;
  /** Called if there was no answer. */
  readonly onLost: () => void;
}

/**
 * Probes at intervals while a caller waits, and after a call without an answer.
 */
export class Keepalive {
  readonly #components: KeepaliveComponents;
  readonly #ended = new AbortController();
  #waiting = 0;
  #isBeating = false;
  #isAsking = false;

  constructor(components: KeepaliveComponents) {
    this.#components = components;
  }

  /**
   * A caller starts to wait on the connection; call the result once when it
   * stops.
   */
  wait(): () => void {
    this.#waiting += 1;
    if (!this.#isBeating) this.#beat();
    return () => {
      this.#waiting -= 1;
    };
  }

  /**
   * Probes now: a call had no answer in time, which may be etcd's fault alone.
   */
  async check(): Promise<void> {
    const { ask, onLost } = this.#components;
    if (this.#isAsking || this.#ended.signal.aborted) return;
    this.#isAsking = true;
    const answered = await ask(KEEPALIVE_LIMIT_MS);
    this.#isAsking = false;
    if (answered || this.#ended.signal.aborted) return;
    this.end();
    onLost();
  }

  /** Stops probing. */
  end(): void {
    this.#ended.abort();
  }

  async #beat(): Promise<void> {
    const { signal } = this.#ended;
    const { clock } = this.#components;
    this.#isBeating = true;
    try {
      while (
        this.#waiting > 0 && await slept(clock, KEEPALIVE_PAUSE_MS, signal)
      ) {
        if (this.#waiting > 0) await this.check();
      }
    } catch (error) {
      // The check may be what the end of the keepalive interrupts.
      if (!signal.aborted) throw error;
    } finally {
      this.#isBeating = false;
    }
  }
}
