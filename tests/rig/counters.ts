/**
 * The kernel's own counters of a device.
 *
 * @module
 */

import type { NetNamespace } from "./namespace.ts";

/** Packets that the kernel dropped at a device, in either direction. */
export async function droppedPackets(
  namespace: NetNamespace,
  device: string,
): Promise<number> {
  const directory = `/sys/class/net/${device}/statistics`;
  const text = await namespace.run([
    "cat",
    `${directory}/rx_dropped`,
    `${directory}/tx_dropped`,
  ]);
  return text.trim().split("\n").map(Number).reduce((a, b) => a + b);
}
