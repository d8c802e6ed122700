/**
 * Maps the memory of a ring buffer into the process.
 *
 * @module
 */

import { errno, libc } from "../libc.ts";
import type { BpfMap, RingReader } from "./bpf.ts";
import { BpfError } from "./errors.ts";
import { checkRingMap } from "./spec.ts";
import { RingRecords } from "./ring_records.ts";

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_FAILED = 2n ** 64n - 1n;

/**
 * Throws {@linkcode BadBpfSpecError} for a map of another type, and
 * {@linkcode BpfError} if the kernel does not map it.
 */
export function mapKernelRing(map: BpfMap): RingReader {
  checkRingMap(map);
  using owned = new DisposableStack();
  const pageBytes = libc().getpagesize();
  const dataBytes = 2 * map.maxEntries;
  // The reader may write its own page only.
  const consumer = mapMemory(map, pageBytes, PROT_READ | PROT_WRITE, 0);
  owned.defer(() => unmap(consumer, pageBytes));
  const producer = mapMemory(
    map,
    pageBytes + dataBytes,
    PROT_READ,
    pageBytes,
  );
  owned.defer(() => unmap(producer, pageBytes + dataBytes));
  const view = (pointer: Deno.PointerObject, bytes: number, offset = 0) =>
    Deno.UnsafePointerView.getArrayBuffer(pointer, bytes, offset);
  const records = new RingRecords({
    consumer: new BigUint64Array(view(consumer, 8)),
    producer: new BigUint64Array(view(producer, 8)),
    data: new Uint8Array(view(producer, dataBytes, pageBytes)),
  });
  return new KernelRing(records, owned.move());
}

/** The memory is never touched after it was unmapped. */
class KernelRing implements RingReader {
  readonly #owned: DisposableStack;
  #records: RingRecords | undefined;

  constructor(records: RingRecords, owned: DisposableStack) {
    this.#records = records;
    this.#owned = owned;
  }

  read(most: number): Uint8Array<ArrayBuffer>[] {
    return this.#records?.read(most) ?? [];
  }

  discard(): void {
    this.#records?.discard();
  }

  [Symbol.dispose](): void {
    this.#records = undefined;
    this.#owned[Symbol.dispose]();
  }
}

function mapMemory(
  { descriptor, name }: BpfMap,
  bytes: number,
  protection: number,
  offset: number,
): Deno.PointerObject {
  const pointer = libc().mmap(
    0,
    bytes,
    protection,
    MAP_SHARED,
    descriptor,
    offset,
  );
  if (
    pointer === null || BigInt(Deno.UnsafePointer.value(pointer)) === MAP_FAILED
  ) {
    throw new BpfError(`map the memory of ${name}`, errno());
  }
  return pointer;
}

function unmap(pointer: Deno.PointerObject, bytes: number): void {
  libc().munmap(pointer, bytes);
}
