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
import { describeError } from "../../errors.ts";
import type { Clock } from "../../linux/clock.ts";
import type { Rtnetlink } from "../../linux/netlink/rtnetlink.ts";
import {
  configureOverlayDevice,
  isOverlayDeviceRight,
  type OverlayDevice,
} from "./overlay_device.ts";

const log = getLogger(["loden", "backend"]);

const INTERVAL_MS = 5_000;

/** What the keeper stands on. */
export interface OverlayKeeperParts {
  readonly rtnetlink: Rtnetlink;
  readonly clock: Pick<Clock, "sleep">;
}

/** Looks at a device every five seconds. */
export class OverlayKeeper {
  readonly #parts: OverlayKeeperParts;
  readonly #device: OverlayDevice;
  /** The last failure's message; one that lasts is logged once. */
  #reported: string | undefined;

  constructor(parts: OverlayKeeperParts, device: OverlayDevice) {
    this.#parts = parts;
    this.#device = device;
  }

  /** Runs until the signal is aborted; resolves then. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#parts.clock.sleep(INTERVAL_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      this.#look();
    }
  }

  #look(): void {
    const { rtnetlink } = this.#parts;
    const device = this.#device.name;
    try {
      if (isOverlayDeviceRight(rtnetlink, this.#device)) return;
      configureOverlayDevice(rtnetlink, this.#device);
      this.#reported = undefined;
      log.warn("overlay device had been changed and is put right", {
        event: "backend.device-mended",
        device,
      });
    } catch (error) {
      const reason = describeError(error);
      if (reason === this.#reported) return;
      this.#reported = reason;
      log.warn("overlay device cannot be put right", {
        event: "backend.device-wrong",
        device,
        reason,
      });
    }
  }
}
