/**
 * Switches a worker to the peer table that the main thread has written.
 *
 * @module
 */

import type { PacketMemory } from "../../../linux/packet_memory.ts";
import * as layout from "./layout.ts";
import type { PacketKernel } from "./packet_kernel.ts";

/**
 * Switches to the wanted table and acknowledges it in the control word
 * `acknowledgement`, which the main thread reads before it overwrites the other
 * table.
 */
export function takePeerTable(
  memory: PacketMemory,
  kernel: Pick<PacketKernel, "useTable">,
  acknowledgement: number,
): void {
  const wanted = Atomics.load(memory.words, layout.CONTROL_TABLE_WANTED >> 2);
  kernel.useTable(wanted);
  Atomics.store(memory.words, acknowledgement >> 2, wanted);
  Atomics.notify(memory.signals, acknowledgement >> 2);
}
