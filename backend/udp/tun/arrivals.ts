/**
 * Whether a datagram came by a device that may speak for its sender: one to which
 * the sender's address is routed (RFC 3704). `ebpf/programs/arrival.ts` decides in
 * the same way.
 *
 * A container that sends in the name of another host to its own comes by its
 * bridge; a public interface does not speak for peers on a private one.
 *
 * @module
 */

import type { Clock } from "../../../linux/clock.ts";

/** What the check needs. */
export interface ArrivalsParts {
  /** Devices of the route to an address; throws when there is none. */
  readonly nextHops: (address: number) => readonly number[];
  readonly isPeerAddress: (address: number) => boolean;
  readonly clock: Pick<Clock, "monotonic">;
}

interface Answer {
  readonly devices: readonly number[];
  readonly untilMs: number;
}

/** Routes change, and an answer must not outlive a fail-over for long. */
const ANSWER_LIFE_MS = 10_000;
/** A datagram from the wrong device may be the first after a fail-over. */
const REPEATED_QUESTIONS_PER_SECOND = 100;

/** See the module. */
export class Arrivals {
  readonly #parts: ArrivalsParts;
  /** Of peers' addresses only. */
  readonly #answers = new Map<number, Answer>();
  #secondEndsMs = -Infinity;
  #questionsLeft = 0;

  constructor(parts: ArrivalsParts) {
    this.#parts = parts;
  }

  /**
   * An address that is no peer's passes: later checks drop it. So does a datagram
   * of which the kernel does not say the device (0).
   */
  mayComeBy(address: number, device: number): boolean {
    const { clock, isPeerAddress } = this.#parts;
    const nowMs = clock.monotonic();
    const known = this.#answers.get(address);
    const isFresh = known !== undefined && nowMs < known.untilMs;
    if (device === 0 || (isFresh && known.devices.includes(device))) {
      return true;
    }
    if (!isPeerAddress(address)) {
      this.#answers.delete(address);
      return true;
    }
    if (isFresh && !this.#mayAskAgain(nowMs)) return false;
    const devices = this.#ask(address);
    this.#answers.set(address, { devices, untilMs: nowMs + ANSWER_LIFE_MS });
    return devices.includes(device);
  }

  #ask(address: number): readonly number[] {
    try {
      return this.#parts.nextHops(address);
    } catch {
      // No route now: nothing speaks for the address until there is one.
      return [];
    }
  }

  #mayAskAgain(nowMs: number): boolean {
    if (nowMs >= this.#secondEndsMs) {
      this.#secondEndsMs = nowMs + 1_000;
      this.#questionsLeft = REPEATED_QUESTIONS_PER_SECOND;
    }
    return this.#questionsLeft-- > 0;
  }
}
