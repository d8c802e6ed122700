/**
 * What system calls read through iovecs.
 *
 * @module
 */

import type { PacketMemory } from "../../linux/packet_memory.ts";

const IOVEC_BYTES = 16;

/**
 * The bytes that `count` iovecs at an offset name. Throws when one lies outside
 * the memory.
 */
export function gather(
  memory: PacketMemory,
  iovecs: number,
  count: number,
): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const at = iovecs + i * IOVEC_BYTES;
    const offset = Number(
      memory.view.getBigUint64(at, true) - BigInt(memory.address),
    );
    const length = Number(memory.view.getBigUint64(at + 8, true));
    if (offset < 0 || offset + length > memory.bytes.length) {
      throw new RangeError(`an iovec of ${length} bytes at ${offset}`);
    }
    pieces.push(memory.bytes.slice(offset, offset + length));
  }
  const whole = new Uint8Array(
    pieces.reduce((sum, { length }) => sum + length, 0),
  );
  let end = 0;
  for (const piece of pieces) {
    whole.set(piece, end);
    end += piece.length;
  }
  return whole;
}

/** Writes an iovec for `bytes` bytes at the offset `data`. */
export function writeIovec(
  memory: PacketMemory,
  at: number,
  data: number,
  bytes: number,
): void {
  memory.storePointer(at, data);
  memory.storeSize(at + 8, bytes);
}
