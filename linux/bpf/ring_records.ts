/**
 * The records of a ring buffer that programs fill (`BPF_MAP_TYPE_RINGBUF`).
 *
 * ```text
 * consumer page   u64: how far the reader is, written by the reader
 * producer page   u64: how far programs have reserved, written by the kernel
 * data            records, each behind 8 bytes: u32 length and flags, u32 page
 * data again      the same memory: a record never breaks at the end
 * ```
 *
 * Both positions only grow; modulo the size they are a place in the data.
 *
 * Source: `kernel/bpf/ringbuf.c`, `linux/bpf.h`.
 *
 * @module
 */

const HEADER_BYTES = 8;
/** BPF_RINGBUF_BUSY_BIT: a program is still writing the record. */
const BUSY = 2 ** 31;
/** BPF_RINGBUF_DISCARD_BIT: the program has given the record up. */
const DISCARDED = 2 ** 30;
const ALIGNMENT_BYTES = 8n;

/** The memory of a ring buffer. */
export interface RingMemory {
  /** The reader's position, writable. */
  readonly consumer: BigUint64Array<ArrayBuffer>;
  readonly producer: BigUint64Array<ArrayBuffer>;
  /** The data twice, one behind the other. */
  readonly data: Uint8Array<ArrayBuffer>;
}

/** Reads records in order. The memory must outlive it. */
export class RingRecords {
  readonly #memory: RingMemory;
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #size: bigint;

  constructor(memory: RingMemory) {
    const { data } = memory;
    this.#memory = memory;
    this.#size = BigInt(data.length / 2);
    this.#words = new Uint32Array(data.buffer, data.byteOffset);
  }

  /** Copies of the next records, `most` at most. */
  read(most: number): Uint8Array<ArrayBuffer>[] {
    const { consumer, data, producer } = this.#memory;
    const records: Uint8Array<ArrayBuffer>[] = [];
    let position = consumer[0]!;
    // Atomics order what follows after what the kernel has published.
    const end = Atomics.load(producer, 0);
    while (position < end && records.length < most) {
      const at = Number(position % this.#size);
      const header = Atomics.load(this.#words, at / 4);
      if (header >= BUSY) break;
      const length = header % DISCARDED;
      const next = position + alignUp(BigInt(HEADER_BYTES + length));
      if (next > end) {
        // Not what the kernel writes: the rest cannot be told apart.
        position = end;
        break;
      }
      if (header < DISCARDED) {
        const start = at + HEADER_BYTES;
        records.push(data.slice(start, start + length));
      }
      position = next;
    }
    // Only now may programs write over what was copied.
    Atomics.store(consumer, 0, position);
    return records;
  }

  /** Forgets what is there. */
  discard(): void {
    const { consumer, producer } = this.#memory;
    Atomics.store(consumer, 0, Atomics.load(producer, 0));
  }
}

function alignUp(bytes: bigint): bigint {
  return (bytes + ALIGNMENT_BYTES - 1n) & -ALIGNMENT_BYTES;
}
