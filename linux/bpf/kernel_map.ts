/**
 * A map of the kernel.
 *
 * @module
 */

import { ERRNO } from "../errno.ts";
import { libc } from "../libc.ts";
import type { BpfMap, MapEntry, MapSpec, MapType, UpdateMode } from "./bpf.ts";
import { BadBpfSpecError, BpfError } from "./errors.ts";
import { openById, owned } from "./kernel_object.ts";
import {
  COMMAND,
  MAP_BATCH,
  MAP_CREATE,
  MAP_ELEMENT,
  MAP_INFO,
  MAP_INFO_BYTES,
  OBJECT_INFO,
} from "./layouts.ts";
import { perCpuStrideBytes, possibleCpus } from "./per_cpu.ts";
import { checkMapSpec, isPerCpu, MAP_TYPES, mapFlags } from "./spec.ts";
import { fixedBytes, Structure } from "./structure.ts";
import { bpf, tryBpf, tryBpfWithMemory } from "./system_call.ts";

/** BPF_ANY, BPF_NOEXIST, BPF_EXIST. */
const UPDATE_FLAGS: Readonly<Record<UpdateMode, number>> = {
  any: 0,
  create: 1,
  exist: 2,
};

/** Makes a map. */
export function createKernelMap(spec: MapSpec): KernelMap {
  checkMapSpec(spec);
  const attributes = new Structure(MAP_CREATE)
    .set("type", MAP_TYPES[spec.type])
    .set("keyBytes", spec.keyBytes)
    .set("valueBytes", spec.valueBytes)
    .set("maxEntries", spec.maxEntries)
    .set("flags", mapFlags(spec))
    .setName("name", spec.name);
  const descriptor = tryBpfWithMemory(COMMAND.mapCreate, attributes);
  if (descriptor < 0) {
    throw new BpfError(`create the map ${spec.name}`, -descriptor);
  }
  return owned(descriptor, (own) => new KernelMap(own));
}

/** The map with that id; `undefined` when there is none. */
export function openKernelMap(id: number): KernelMap | undefined {
  return openById("map", id, (descriptor) => new KernelMap(descriptor));
}

/**
 * A descriptor of a map, with memory for one key and one value that all calls
 * share, because counters are read often.
 */
class KernelMap implements BpfMap {
  readonly id: number;
  readonly name: string;
  readonly type: MapType;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly maxEntries: number;
  readonly #key: Uint8Array<ArrayBuffer>;
  readonly #value: Uint8Array<ArrayBuffer>;
  readonly #nextKey: Uint8Array<ArrayBuffer>;
  /** Points to the key and the value. */
  readonly #element: Structure<typeof MAP_ELEMENT>;
  /** Points to the key alone: the kernel refuses more than a call uses. */
  readonly #keyOnly: Structure<typeof MAP_ELEMENT>;
  /** Points to the key and the next key. */
  readonly #step: Structure<typeof MAP_ELEMENT>;
  #descriptor: number;

  /** @param descriptor Of a map; it is closed with this. */
  constructor(descriptor: number) {
    this.#descriptor = descriptor;
    const info = new Structure(MAP_INFO, MAP_INFO_BYTES);
    bpf(
      "read what a map is",
      COMMAND.objectInfo,
      new Structure(OBJECT_INFO)
        .set("object", descriptor)
        .set("infoBytes", info.bytes.length)
        .point("info", info.bytes),
    );
    this.id = info.get("id");
    this.name = info.getName("name");
    this.type = mapTypeOf(this.id, info.get("type"));
    this.keyBytes = info.get("keyBytes");
    this.valueBytes = info.get("valueBytes");
    this.maxEntries = info.get("maxEntries");
    this.#key = fixedBytes(this.keyBytes);
    this.#nextKey = fixedBytes(this.keyBytes);
    this.#value = fixedBytes(
      isPerCpu(this.type)
        ? perCpuStrideBytes(this.valueBytes) * possibleCpus()
        : this.valueBytes,
    );
    this.#element = new Structure(MAP_ELEMENT)
      .set("map", descriptor)
      .point("key", this.#key)
      .point("value", this.#value);
    this.#keyOnly = new Structure(MAP_ELEMENT)
      .set("map", descriptor)
      .point("key", this.#key);
    this.#step = new Structure(MAP_ELEMENT)
      .set("map", descriptor)
      .point("value", this.#nextKey);
  }

  get descriptor(): number {
    return this.#descriptor;
  }

  lookup(key: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
    this.#putKey(key);
    const result = tryBpf(COMMAND.mapLookup, this.#element.set("flags", 0));
    if (result === -ERRNO.ENOENT) return undefined;
    if (result < 0) throw this.#error("look up a key in", result);
    return this.#value.slice();
  }

  update(key: Uint8Array, value: Uint8Array, mode: UpdateMode = "any"): void {
    this.#putKey(key);
    this.#checkLength("value", value, this.#value.length);
    this.#value.set(value);
    const result = tryBpf(
      COMMAND.mapUpdate,
      this.#element.set("flags", UPDATE_FLAGS[mode]),
    );
    if (result < 0) throw this.#error("put an entry into", result);
  }

  updateMany(entries: Iterable<MapEntry>): void {
    const all = [...entries];
    if (all.length > 1 && this.#updateBatch(all)) return;
    // Also after a partial batch: updates can be repeated, and the refused one
    // throws its reason.
    for (const { key, value } of all) this.update(key, value);
  }

  delete(key: Uint8Array): boolean {
    this.#putKey(key);
    const result = tryBpf(COMMAND.mapDelete, this.#keyOnly);
    if (result === -ERRNO.ENOENT) return false;
    if (result < 0) throw this.#error("remove a key from", result);
    return true;
  }

  entries(): MapEntry[] {
    const found = new Map<string, MapEntry>();
    let key = this.#keyAfter(undefined);
    // If the present key is removed meanwhile, the kernel starts over: keys
    // then repeat, possibly without an end.
    for (let step = 0; key && step < 2 * this.maxEntries; step++) {
      const name = key.join();
      if (!found.has(name)) {
        const value = this.lookup(key);
        if (value) found.set(name, { key, value });
      }
      key = this.#keyAfter(key);
    }
    return [...found.values()];
  }

  [Symbol.dispose](): void {
    if (this.#descriptor < 0) return;
    libc().close(this.#descriptor);
    this.#descriptor = -1;
    // The number may soon belong to another file; later calls must fail with
    // EBADF.
    this.#element.set("map", -1);
    this.#keyOnly.set("map", -1);
    this.#step.set("map", -1);
  }

  #updateBatch(entries: readonly MapEntry[]): boolean {
    const keys = fixedBytes(this.keyBytes * entries.length);
    const values = fixedBytes(this.#value.length * entries.length);
    for (const [index, { key, value }] of entries.entries()) {
      this.#checkLength("key", key, this.keyBytes);
      this.#checkLength("value", value, this.#value.length);
      keys.set(key, index * this.keyBytes);
      values.set(value, index * this.#value.length);
    }
    return tryBpf(
      COMMAND.mapUpdateBatch,
      new Structure(MAP_BATCH)
        .set("map", this.#descriptor)
        .set("count", entries.length)
        .point("keys", keys)
        .point("values", values),
    ) >= 0;
  }

  /** The first key without one. */
  #keyAfter(
    key: Uint8Array | undefined,
  ): Uint8Array<ArrayBuffer> | undefined {
    if (key === undefined) this.#step.set("key", 0);
    else {
      this.#putKey(key);
      this.#step.point("key", this.#key);
    }
    const result = tryBpf(COMMAND.mapNextKey, this.#step);
    if (result === -ERRNO.ENOENT) return undefined;
    if (result < 0) throw this.#error("list the keys of", result);
    return this.#nextKey.slice();
  }

  #putKey(key: Uint8Array): void {
    this.#checkLength("key", key, this.keyBytes);
    this.#key.set(key);
  }

  #checkLength(noun: string, bytes: Uint8Array, length: number): void {
    if (bytes.length === length) return;
    throw new BadBpfSpecError(
      `use the map ${this.name}`,
      `a ${noun} must have ${length} bytes`,
      bytes.length,
    );
  }

  #error(what: string, result: number): BpfError {
    return new BpfError(`${what} the map ${this.name}`, -result);
  }
}

function mapTypeOf(id: number, number: number): MapType {
  for (const [type, value] of Object.entries(MAP_TYPES)) {
    if (value === number) return type as MapType;
  }
  throw new BadBpfSpecError(
    `open the map ${id}`,
    `its type must be one of ${Object.keys(MAP_TYPES).join(", ")}`,
    number,
  );
}
