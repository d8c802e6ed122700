/**
 * Waiting for devices to pass packets.
 *
 * @module
 */

import { libc } from "../../linux/libc.ts";
import type { Rtnetlink } from "../../linux/netlink/rtnetlink.ts";

/** Far more than the kernel needs on a busy machine. */
const PATIENCE_MS = 10_000;

/**
 * Waits until the devices are up for good. The kernel switches the end of a pair
 * that came up first on from a work queue; until then it drops in silence.
 */
export function untilOperUp(
  rtnetlink: Rtnetlink,
  interfaceIndexes: readonly number[],
): void {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const waiting = rtnetlink.links().filter(({ index, operUp }) =>
      interfaceIndexes.includes(index) && !operUp
    );
    if (waiting.length === 0) return;
    if (Date.now() > end) {
      throw new Error(`not up: ${waiting.map(({ name }) => name).join(", ")}`);
    }
    libc().poll(0, 0, 1);
  }
}
