/**
 * Memory shared by system calls, WASM code and several threads.
 *
 * @module
 */

import { addressOf } from "./libc.ts";

/**
 * A shared WASM memory with its address in the process. The memory never moves:
 * a shared memory reserves its maximum when it is made.
 */
export class PacketMemory {
  readonly memory: WebAssembly.Memory;
  /** Address of the first byte. */
  readonly address: number;
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly words: Uint32Array<SharedArrayBuffer>;
  /** The words as Atomics.wait and notify want them. */
  readonly signals: Int32Array<SharedArrayBuffer>;
  readonly view: DataView<SharedArrayBuffer>;

  constructor(memory: WebAssembly.Memory) {
    const buffer = memory.buffer as unknown as SharedArrayBuffer;
    this.memory = memory;
    this.bytes = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer);
    this.signals = new Int32Array(buffer);
    this.view = new DataView(buffer);
    this.address = addressOf(this.bytes);
  }

  /** Writes the address of `offset` at `at`, as a 64-bit pointer. */
  storePointer(at: number, offset: number): void {
    const address = this.address + offset;
    this.words[at >> 2] = address >>> 0;
    this.words[(at >> 2) + 1] = Math.floor(address / 2 ** 32);
  }

  /**
   * The addresses of every `stride`th byte from `start` to `end` (excluded).
   *
   * A call through the FFI takes an address without an allocation only as a
   * 64-bit integer straight from such an array: a number would be converted, and
   * makes V8 throw the optimized code of the caller away, again and again.
   */
  addresses(start: number, end: number, stride: number): BigUint64Array {
    const base = BigInt(this.address);
    return BigUint64Array.from(
      { length: Math.ceil((end - start) / stride) },
      (_, index) => base + BigInt(start + index * stride),
    );
  }

  /** A 64-bit size below 2^32 at `at` (a multiple of 4). */
  storeSize(at: number, value: number): void {
    this.words[at >> 2] = value;
    this.words[(at >> 2) + 1] = 0;
  }
}
