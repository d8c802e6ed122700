/**
 * Keeps an overlay device configured although other programs change it.
 *
 * `ip link set flannel0 down` removes the route to the device, and `up` does
 * not restore it: every packet for the overlay would hit the unreachable route
 * until the next start.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError } from "../errors.ts";
import { type Clock, slept } from "../linux/clock.ts";

const log = getLogger(["loden", "backend"]);

const INTERVAL_MS = 5_000;

/** What is maintained. */
export interface KeptOverlay {
  readonly deviceName: string;
  /**
   * Restores what has changed; returns what that was, nothing if all was right.
   */
  mend(): readonly string[];
}

/** Checks every five seconds, and on request. */
export class OverlayKeeper {
  readonly #clock: Pick<Clock, "sleep">;
  readonly #overlay: KeptOverlay;
  /** The last failure's message; a lasting failure is logged once. */
  #reported: string | undefined;

  constructor(clock: Pick<Clock, "sleep">, overlay: KeptOverlay) {
    this.#clock = clock;
    this.#overlay = overlay;
  }

  /** Runs until the signal is aborted; resolves then. */
  async run(signal: AbortSignal): Promise<void> {
    while (await slept(this.#clock, INTERVAL_MS, signal)) this.look();
  }

  /** Checks now. */
  look(): void {
    const device = this.#overlay.deviceName;
    try {
      const mended = this.#overlay.mend();
      this.#reported = undefined;
      if (mended.length === 0) return;
      log.warn("overlay device was changed and is restored", {
        event: "backend.device-mended",
        device,
        mended,
      });
    } catch (error) {
      const reason = describeError(error);
      if (reason === this.#reported) return;
      this.#reported = reason;
      log.warn("overlay device cannot be restored", {
        event: "backend.device-wrong",
        device,
        reason,
      });
    }
  }
}
