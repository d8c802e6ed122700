/**
 * The WASM module with the inner loops of the data path.
 *
 * @module
 */

import type { PacketMemory } from "../../../linux/packet_memory.ts";
import bytes from "./kernel.wasm" with { type: "bytes" };

/**
 * The module's functions. Offsets and lengths are bytes in the shared memory,
 * addresses are in host byte order. Source: `wasm/*.as.ts`.
 */
export interface PacketKernel {
  /** One of TRANSMIT_* for the packet read from the TUN. */
  transmit(vnetHeader: number, packet: number, bytes: number): number;
  /** Cuts packets off a super-packet; their number, 0 at its end. */
  cut(packet: number, iovec: number, room: number): number;
  /** Writes an iovec of the batch. */
  gather(iovec: number, data: number, bytes: number): void;
  /** Begins a round of receives. */
  beginReceive(): void;
  /** Checks and merges what was received; the bytes looked at. */
  receive(
    offset: number,
    bytes: number,
    segmentBytes: number,
    sender: number,
  ): number;
  /** Ends the round; the number of records to write to the TUN. */
  endReceive(): number;
  useTable(offset: number): void;
  peerOf(address: number): number;
  isPeerAddress(address: number): boolean;
  addCount(counter: number, by: number): void;
  /**
   * Keeps the beginning of a dropped packet, if there is a listener. `bytes` of its
   * `length` are at `packet`.
   */
  recordDrop(
    counter: number,
    packet: number,
    bytes: number,
    length: number,
    peer: number,
  ): void;
  setMemoryBase(address: bigint): void;
}

/**
 * Compiles the module; it can be sent to a Worker and instantiated there. Its
 * bytes are imported, not the module itself: Deno would look for a file `env`,
 * which is what AssemblyScript imports its memory from.
 */
export function compilePacketKernel(): WebAssembly.Module {
  return new WebAssembly.Module(bytes);
}

/** An instance on a shared memory. */
export function instantiatePacketKernel(
  module: WebAssembly.Module,
  memory: PacketMemory,
): PacketKernel {
  const instance = new WebAssembly.Instance(module, {
    env: { memory: memory.memory },
  });
  const kernel = instance.exports as unknown as PacketKernel;
  kernel.setMemoryBase(BigInt(memory.address));
  return kernel;
}
