/**
 * Checks the kernel's rules for maps and programs in advance, because the
 * kernel answers every violation with EINVAL.
 *
 * @module
 */

import type { MapSpec, MapType, ProgramType } from "./bpf.ts";
import { BadBpfSpecError } from "./errors.ts";
import { NAME_BYTES } from "./layouts.ts";

/** `enum bpf_map_type`. */
export const MAP_TYPES: Readonly<Record<MapType, number>> = {
  hash: 1,
  array: 2,
  percpuHash: 5,
  percpuArray: 6,
  lruHash: 9,
  lpmTrie: 11,
  ringBuffer: 27,
};

/** `enum bpf_prog_type`. */
export const PROGRAM_TYPES: Readonly<Record<ProgramType, number>> = {
  schedCls: 3,
  xdp: 6,
};

/** BPF_F_NO_PREALLOC. */
const NO_PREALLOCATE = 1;
/** Of an array's index, and of the prefix length in front of a trie's key. */
const INDEX_BYTES = 4;
/** `LPM_DATA_SIZE_MAX`, `linux/bpf.h`: 256 bytes behind the prefix length. */
const TRIE_KEY_MOST_BYTES = INDEX_BYTES + 256;
/** Of every page size that Linux has on the two architectures. */
const RING_MULTIPLE_BYTES = 1 << 16;
/** MAX_BPF_STACK: a key is no longer than a program's stack. */
const KEY_MOST_BYTES = 512;

/** Throws {@linkcode BadBpfSpecError} when no map can be like this. */
export function checkMapSpec(spec: MapSpec): void {
  const what = `create the map ${spec.name}`;
  checkName(what, spec.name);
  const require = (
    holds: boolean,
    rule: string,
    value: number | string,
  ) => {
    if (!holds) throw new BadBpfSpecError(what, rule, value);
  };
  require(
    isCount(spec.maxEntries),
    "the number of entries must be an integer of 1 or more",
    spec.maxEntries,
  );
  if (spec.type === "ringBuffer") return checkRing(spec, require);
  require(
    isCount(spec.valueBytes),
    "a value must have 1 byte or more",
    spec.valueBytes,
  );
  if (isArray(spec.type)) {
    require(
      spec.keyBytes === INDEX_BYTES,
      `the key of an array must have ${INDEX_BYTES} bytes`,
      spec.keyBytes,
    );
    require(
      !spec.noPreallocate,
      "an array must have its memory from the start",
      "noPreallocate",
    );
  }
  const least = spec.type === "lpmTrie" ? INDEX_BYTES + 1 : 1;
  const most = spec.type === "lpmTrie" ? TRIE_KEY_MOST_BYTES : KEY_MOST_BYTES;
  require(
    isCount(spec.keyBytes) && spec.keyBytes >= least && spec.keyBytes <= most,
    `a key must have ${least} to ${most} bytes`,
    spec.keyBytes,
  );
}

function checkRing(
  { keyBytes, valueBytes, maxEntries, noPreallocate }: MapSpec,
  require: (holds: boolean, rule: string, value: number | string) => void,
): void {
  require(
    keyBytes === 0 && valueBytes === 0,
    "a ring buffer must have no keys and no values",
    `${keyBytes} and ${valueBytes} bytes`,
  );
  require(
    maxEntries % RING_MULTIPLE_BYTES === 0 &&
      (maxEntries & (maxEntries - 1)) === 0,
    `the size of a ring buffer must be a power of two and at least ${RING_MULTIPLE_BYTES}`,
    maxEntries,
  );
  require(
    !noPreallocate,
    "a ring buffer must have its memory from the start",
    "noPreallocate",
  );
}

/** Throws {@linkcode BadBpfSpecError} if the map has no memory to read from. */
export function checkRingMap({ name, type }: Pick<MapSpec, "name" | "type">) {
  if (type === "ringBuffer") return;
  throw new BadBpfSpecError(
    `map the memory of ${name}`,
    "it must be a ring buffer",
    type,
  );
}

/** `map_flags` for {@linkcode MapSpec}. */
export function mapFlags({ type, noPreallocate }: MapSpec): number {
  return noPreallocate || type === "lpmTrie" ? NO_PREALLOCATE : 0;
}

/** Throws {@linkcode BadBpfSpecError} for a name that the kernel would refuse. */
export function checkName(what: string, name: string): void {
  if (/^[A-Za-z0-9_.]+$/.test(name) && name.length < NAME_BYTES) return;
  throw new BadBpfSpecError(
    what,
    `its name must be 1 to ${
      NAME_BYTES - 1
    } letters, digits, underscores and dots`,
    name,
  );
}

/** Whether each CPU has values of its own. */
export function isPerCpu(type: MapType): boolean {
  return type === "percpuArray" || type === "percpuHash";
}

/** Whether keys are indexes and all entries are always there. */
export function isArray(type: MapType): boolean {
  return type === "array" || type === "percpuArray";
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= 0xffff_ffff;
}
