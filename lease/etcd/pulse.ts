/**
 * Whether a connection still carries anything.
 *
 * A connection that dies without a word (packets dropped, a machine gone, a
 * process stopped) looks like one on which nothing happens. So as long as a watch
 * waits on it, it is asked something, and one that does not answer is given up.
 *
 * HTTP/2 has pings for this, and gRPC's keepalive uses them; but in Deno 2.7
 * `node:http2` does not tell of their answers, so that each connection would be
 * given up at its first ping.
 *
 * @module
 */

import { type Clock, slept } from "../../linux/clock.ts";

/** Seldom enough for thousands of hosts at one etcd. */
export const PULSE_PAUSE_MS = 10_000;
/** For an answer that etcd has in memory. */
export const PULSE_LIMIT_MS = 3_000;

/** What a pulse works with. */
export interface PulseComponents {
  readonly clock: Pick<Clock, "sleep">;
  /**
   * Asks the server for something small, which it answers at once. Whether there
   * was an answer, be it a refusal, within `limitMs`.
   */
  readonly ask: (limitMs: number) => Promise<boolean>;
  /** There was none. */
  readonly onLost: () => void;
}

/** Asks at intervals while somebody waits, and when somebody waited in vain. */
export class Pulse {
  readonly #components: PulseComponents;
  readonly #ended = new AbortController();
  #waiting = 0;
  #isBeating = false;
  #isAsking = false;

  constructor(components: PulseComponents) {
    this.#components = components;
  }

  /** Somebody waits on the connection; call the result once when that is over. */
  wait(): () => void {
    this.#waiting += 1;
    if (!this.#isBeating) this.#beat();
    return () => {
      this.#waiting -= 1;
    };
  }

  /** Asks now: a call had no answer in time, which may be etcd's fault alone. */
  async check(): Promise<void> {
    const { ask, onLost } = this.#components;
    if (this.#isAsking || this.#ended.signal.aborted) return;
    this.#isAsking = true;
    const answered = await ask(PULSE_LIMIT_MS);
    this.#isAsking = false;
    if (answered || this.#ended.signal.aborted) return;
    this.end();
    onLost();
  }

  /** Asks no more. */
  end(): void {
    this.#ended.abort();
  }

  async #beat(): Promise<void> {
    const { signal } = this.#ended;
    const { clock } = this.#components;
    this.#isBeating = true;
    try {
      while (
        this.#waiting > 0 && await slept(clock, PULSE_PAUSE_MS, signal)
      ) {
        if (this.#waiting > 0) await this.check();
      }
    } catch (error) {
      // The check may be what the end of the pulse interrupts.
      if (!signal.aborted) throw error;
    } finally {
      this.#isBeating = false;
    }
  }
}
