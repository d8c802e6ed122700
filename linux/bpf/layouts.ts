/**
 * `union bpf_attr` and what `BPF_OBJ_GET_INFO_BY_FD` fills, byte by byte.
 *
 * The structures have fixed sizes and explicit padding, and 64-bit fields are
 * aligned to 8 bytes: one layout on x86-64 and arm64. Fields are only ever
 * appended, and the kernel accepts a longer structure than it knows if the rest
 * is 0, so these layouts are valid for every kernel. Source: `linux/bpf.h`.
 *
 * @module
 */

/** A number in a structure. */
export interface Field {
  readonly offset: number;
  readonly bytes: 4 | 8;
}

/** The fields of a structure, by name. */
export type Layout = Readonly<Record<string, Field>>;

const u32 = (offset: number): Field => ({ offset, bytes: 4 });
const u64 = (offset: number): Field => ({ offset, bytes: 8 });

/** Bytes of the longest of the structures below, and then some. */
export const ATTRIBUTE_BYTES = 128;
/** BPF_OBJ_NAME_LEN: bytes of a name with its NUL. */
export const NAME_BYTES = 16;
/** BPF_TAG_SIZE. */
export const TAG_BYTES = 8;

/** `enum bpf_cmd`. */
export const COMMAND = {
  mapCreate: 0,
  mapLookup: 1,
  mapUpdate: 2,
  mapDelete: 3,
  mapNextKey: 4,
  programLoad: 5,
  programAttach: 8,
  programDetach: 9,
  programTestRun: 10,
  programById: 13,
  mapById: 14,
  objectInfo: 15,
  programQuery: 16,
  mapUpdateBatch: 26,
} as const;

export const MAP_CREATE = {
  type: u32(0),
  keyBytes: u32(4),
  valueBytes: u32(8),
  maxEntries: u32(12),
  flags: u32(16),
  /** 16 bytes of text. */
  name: u32(28),
} as const satisfies Layout;

/** Lookup, update, delete and next key. */
export const MAP_ELEMENT = {
  map: u32(0),
  key: u64(8),
  /** The value's address, or the next key's. */
  value: u64(16),
  flags: u64(24),
} as const satisfies Layout;

export const MAP_BATCH = {
  keys: u64(16),
  values: u64(24),
  /** In: how many there are. Out: how many were done. */
  count: u32(32),
  map: u32(36),
  elementFlags: u64(40),
  flags: u64(48),
} as const satisfies Layout;

export const PROGRAM_LOAD = {
  type: u32(0),
  slots: u32(4),
  instructions: u64(8),
  license: u64(16),
  logLevel: u32(24),
  logBytes: u32(28),
  log: u64(32),
  flags: u32(44),
  /** 16 bytes of text. */
  name: u32(48),
} as const satisfies Layout;

/** Attach and detach. */
export const PROGRAM_ATTACH = {
  interfaceIndex: u32(0),
  program: u32(4),
  attachType: u32(8),
  flags: u32(12),
  replacedProgram: u32(16),
} as const satisfies Layout;

export const PROGRAM_QUERY = {
  interfaceIndex: u32(0),
  attachType: u32(4),
  programIds: u64(16),
  /** In: room for so many ids. Out: how many there are. */
  count: u32(24),
} as const satisfies Layout;

export const TEST_RUN = {
  program: u32(0),
  returnValue: u32(4),
  dataInBytes: u32(8),
  /** In: room. Out: how many bytes there are. */
  dataOutBytes: u32(12),
  dataIn: u64(16),
  dataOut: u64(24),
  repeat: u32(32),
  durationNs: u32(36),
  contextInBytes: u32(40),
  contextOutBytes: u32(44),
  contextIn: u64(48),
  contextOut: u64(56),
} as const satisfies Layout;

export const BY_ID = { id: u32(0) } as const satisfies Layout;

export const OBJECT_INFO = {
  object: u32(0),
  infoBytes: u32(4),
  info: u64(8),
} as const satisfies Layout;

/** `struct bpf_map_info`, its beginning. */
export const MAP_INFO = {
  type: u32(0),
  id: u32(4),
  keyBytes: u32(8),
  valueBytes: u32(12),
  maxEntries: u32(16),
  flags: u32(20),
  /** 16 bytes of text. */
  name: u32(24),
} as const satisfies Layout;
export const MAP_INFO_BYTES = 40;

/** `struct bpf_prog_info`, its beginning. */
export const PROGRAM_INFO = {
  type: u32(0),
  id: u32(4),
  /** 8 bytes. */
  tag: u64(8),
  /** In: room for so many ids. Out: how many there are. */
  mapCount: u32(52),
  mapIds: u64(56),
  /** 16 bytes of text. */
  name: u32(64),
} as const satisfies Layout;
export const PROGRAM_INFO_BYTES = 80;
