/**
 * How a worker comes to use the peer table that the main thread has written.
 *
 * @module
 */

import type { PacketMemory } from "../../../linux/packet_memory.ts";
import * as layout from "./layout.ts";
import type { PacketKernel } from "./packet_kernel.ts";

/**
 * Uses the table that is wanted, and says so: `acknowledgement` is the control
 * word in which the main thread looks before it writes over the other table.
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
