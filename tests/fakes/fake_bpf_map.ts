/**
 * A map in memory, with the kernel's answers as far as
 * `tests/contract/bpf_contract.ts` asks.
 *
 * @module
 */

import type {
  BpfMap,
  MapEntry,
  MapSpec,
  MapType,
  UpdateMode,
} from "../../linux/bpf/bpf.ts";
import { BadBpfSpecError, BpfError } from "../../linux/bpf/errors.ts";
import { perCpuStrideBytes } from "../../linux/bpf/per_cpu.ts";
import { isArray, isPerCpu } from "../../linux/bpf/spec.ts";
import { ERRNO } from "../../linux/errno.ts";

const PREFIX_BYTES = 4;

/** What all descriptors of one map share. */
export interface FakeMapRecord {
  readonly id: number;
  readonly spec: MapSpec;
  /** By the key's bytes, or for a trie its prefix: the latest is the last. */
  readonly entries: Map<string, MapEntry>;
  /** How many CPUs there are. */
  readonly cpus: number;
  /** Of a ring buffer: what programs wrote and nobody has read. */
  readonly records: Uint8Array[];
}

/** A map with nothing in it; an array is full of zeros. */
export function newFakeMapRecord(
  id: number,
  spec: MapSpec,
  cpus: number,
): FakeMapRecord {
  const record = {
    id,
    spec,
    cpus,
    entries: new Map<string, MapEntry>(),
    records: [],
  };
  if (isArray(spec.type)) {
    for (let index = 0; index < spec.maxEntries; index++) {
      const key = new Uint8Array(Uint32Array.of(index).buffer);
      const value = new Uint8Array(valueBytesOf(record));
      record.entries.set(nameOf(record, key), { key, value });
    }
  }
  return record;
}

/** One descriptor of a map. */
export class FakeBpfMap implements BpfMap {
  readonly #record: FakeMapRecord;
  readonly #onDispose: () => void;
  #descriptor: number;

  constructor(
    record: FakeMapRecord,
    descriptor: number,
    onDispose: () => void,
  ) {
    this.#record = record;
    this.#descriptor = descriptor;
    this.#onDispose = onDispose;
  }

  get id(): number {
    return this.#record.id;
  }
  get name(): string {
    return this.#record.spec.name;
  }
  get type(): MapType {
    return this.#record.spec.type;
  }
  get keyBytes(): number {
    return this.#record.spec.keyBytes;
  }
  get valueBytes(): number {
    return this.#record.spec.valueBytes;
  }
  get maxEntries(): number {
    return this.#record.spec.maxEntries;
  }
  get descriptor(): number {
    return this.#descriptor;
  }

  lookup(key: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
    this.#check("look up a key in", key);
    const entry = this.type === "lpmTrie"
      ? this.#longestPrefix(key)
      : this.#record.entries.get(nameOf(this.#record, key));
    return entry && Uint8Array.from(entry.value);
  }

  update(key: Uint8Array, value: Uint8Array, mode: UpdateMode = "any"): void {
    const what = "put an entry into";
    this.#check(what, key, value);
    const { entries } = this.#record;
    if (this.type === "lpmTrie" && prefixBits(key) > addressBits(key)) {
      throw this.#error(what, ERRNO.EINVAL);
    }
    const name = nameOf(this.#record, key);
    const known = entries.has(name);
    if (isArray(this.type) && !known) throw this.#error(what, ERRNO.E2BIG);
    if (known && mode === "create") throw this.#error(what, ERRNO.EEXIST);
    if (!known && mode === "exist") throw this.#error(what, ERRNO.ENOENT);
    if (!known && entries.size >= this.maxEntries) this.#makeRoom(what);
    entries.set(name, {
      key: Uint8Array.from(key),
      value: Uint8Array.from(value),
    });
  }

  updateMany(entries: Iterable<MapEntry>): void {
    for (const { key, value } of entries) this.update(key, value);
  }

  delete(key: Uint8Array): boolean {
    const what = "remove a key from";
    this.#check(what, key);
    if (isArray(this.type)) throw this.#error(what, ERRNO.EINVAL);
    if (this.type === "lpmTrie" && prefixBits(key) > addressBits(key)) {
      throw this.#error(what, ERRNO.EINVAL);
    }
    return this.#record.entries.delete(nameOf(this.#record, key));
  }

  entries(): MapEntry[] {
    this.#requireOpen("list the keys of");
    return [...this.#record.entries.values()].map(({ key, value }) => ({
      key: Uint8Array.from(key),
      value: Uint8Array.from(value),
    }));
  }

  [Symbol.dispose](): void {
    if (this.#descriptor < 0) return;
    this.#descriptor = -1;
    this.#onDispose();
  }

  #longestPrefix(key: Uint8Array): MapEntry | undefined {
    let longest: MapEntry | undefined;
    for (const entry of this.#record.entries.values()) {
      const bits = prefixBits(entry.key);
      if (bits > prefixBits(key)) continue;
      if (longest !== undefined && bits <= prefixBits(longest.key)) continue;
      if (prefixOf(key, bits) === prefixOf(entry.key, bits)) longest = entry;
    }
    return longest;
  }

  #makeRoom(what: string): void {
    const { entries } = this.#record;
    if (this.type !== "lruHash") {
      throw this.#error(
        what,
        this.type === "lpmTrie" ? ERRNO.ENOSPC : ERRNO.E2BIG,
      );
    }
    entries.delete(entries.keys().next().value!);
  }

  #check(what: string, key: Uint8Array, value?: Uint8Array): void {
    this.#requireLength("key", key, this.keyBytes);
    if (value !== undefined) {
      this.#requireLength("value", value, valueBytesOf(this.#record));
    }
    this.#requireOpen(what);
  }

  #requireOpen(what: string): void {
    if (this.#descriptor < 0) throw this.#error(what, ERRNO.EBADF);
  }

  #requireLength(noun: string, bytes: Uint8Array, length: number): void {
    if (bytes.length === length) return;
    throw new BadBpfSpecError(
      `use the map ${this.name}`,
      `a ${noun} must have ${length} bytes`,
      bytes.length,
    );
  }

  #error(what: string, errno: number): BpfError {
    return new BpfError(`${what} the map ${this.name}`, errno);
  }
}

function valueBytesOf({ spec, cpus }: FakeMapRecord): number {
  return isPerCpu(spec.type)
    ? perCpuStrideBytes(spec.valueBytes) * cpus
    : spec.valueBytes;
}

/** What tells one entry from another: of a trie's address only the prefix. */
function nameOf({ spec }: FakeMapRecord, key: Uint8Array): string {
  if (spec.type !== "lpmTrie") return key.toHex();
  const bits = prefixBits(key);
  return `${bits}:${prefixOf(key, bits)}`;
}

function prefixBits(key: Uint8Array): number {
  return new DataView(key.buffer, key.byteOffset).getUint32(0, true);
}

function addressBits(key: Uint8Array): number {
  return (key.length - PREFIX_BYTES) * 8;
}

/** The first `bits` of the address as digits. */
function prefixOf(key: Uint8Array, bits: number): string {
  let digits = "";
  for (const byte of key.subarray(PREFIX_BYTES)) {
    digits += byte.toString(2).padStart(8, "0");
  }
  return digits.slice(0, bits);
}
