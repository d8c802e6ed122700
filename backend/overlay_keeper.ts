/**
 * An overlay device that stays as it should be although others change it.
 *
 * `ip link set flannel0 down` takes the route into the device away, and `up` does
 * not bring it back: every packet for the overlay would meet the unreachable
 * route until the next start.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError } from "../errors.ts";
import { type Clock, slept } from "../linux/clock.ts";

const log = getLogger(["loden", "backend"]);

const INTERVAL_MS = 5_000;

/** What is kept as it should be. */
export interface KeptOverlay {
  readonly deviceName: string;
  /** Puts right what is not; says what that was, nothing when all was right. */
  mend(): readonly string[];
}

/** Looks every five seconds, and when it is told to. */
export class OverlayKeeper {
  readonly #clock: Pick<Clock, "sleep">;
  readonly #overlay: KeptOverlay;
  /** The last failure's message; one that lasts is logged once. */
  #reported: string | undefined;

  constructor(clock: Pick<Clock, "sleep">, overlay: KeptOverlay) {
    this.#clock = clock;
    this.#overlay = overlay;
  }

  /** Runs until the signal is aborted; resolves then. */
  async run(signal: AbortSignal): Promise<void> {
    while (await slept(this.#clock, INTERVAL_MS, signal)) this.look();
  }

  /** Looks now. */
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
