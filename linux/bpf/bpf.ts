/**
 * Maps, programs and hooks, as far as a packet data path needs them.
 *
 * Calls are synchronous and never wait. If the kernel refuses, every method
 * throws a {@linkcode SystemCallError} with the kernel's errno, a
 * {@linkcode BpfError} or, for what goes over netlink, a
 * {@linkcode NetlinkError}.
 *
 * @module
 */

import type { Instruction } from "./instructions.ts";

/**
 * The kinds of maps. A `lpmTrie`'s key is the prefix length in bits (u32, the
 * machine's byte order) and the address (network byte order); a lookup finds the
 * longest prefix. An array's key is an index (u32), and all its entries are
 * always there. A `ringBuffer` (Linux 5.8) has no entries; programs write records
 * to it, and {@linkcode Bpf.mapRing} reads them.
 */
export type MapType =
  | "hash"
  | "array"
  | "percpuHash"
  | "percpuArray"
  | "lruHash"
  | "lpmTrie"
  | "ringBuffer";

/** A map to create. */
export interface MapSpec {
  /** 1 to 15 letters, digits, `_` and `.`: what `bpftool` shows. */
  readonly name: string;
  readonly type: MapType;
  readonly keyBytes: number;
  /** Of one CPU, in a map per CPU. */
  readonly valueBytes: number;
  /** Of a `ringBuffer`: its bytes, a power of two and a multiple of a page. */
  readonly maxEntries: number;
  /**
   * BPF_F_NO_PREALLOC: memory only for entries that are there. Always set for a
   * `lpmTrie`, which requires it; never for an array.
   */
  readonly noPreallocate?: boolean;
}

/** One entry of a map. */
export interface MapEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/**
 * Whether an update may create (`create`) or change (`exist`) an entry, or
 * both.
 */
export type UpdateMode = "any" | "create" | "exist";

/**
 * A map, until it is disposed; the kernel keeps it as long as a program uses
 * it.
 *
 * In a map per CPU a value is the values of all possible CPUs one after the
 * other, each rounded up to 8 bytes: see `per_cpu.ts`.
 */
export interface BpfMap extends Disposable {
  readonly id: number;
  readonly name: string;
  readonly type: MapType;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly maxEntries: number;
  readonly descriptor: number;
  /** A copy of the value; `undefined` if there is none. */
  lookup(key: Uint8Array): Uint8Array<ArrayBuffer> | undefined;
  /**
   * Puts an entry, atomically for readers. `errno` is `EEXIST` or `ENOENT` if
   * `mode` does not allow it, `E2BIG` or `ENOSPC` if the map is full.
   */
  update(key: Uint8Array, value: Uint8Array, mode?: UpdateMode): void;
  /**
   * Puts entries, in one call if the kernel supports it (Linux 5.6, lpmTrie
   * 5.14).
   */
  updateMany(entries: Iterable<MapEntry>): void;
  /** Whether the entry was there. Entries of an array cannot be removed. */
  delete(key: Uint8Array): boolean;
  /**
   * All entries, in the kernel's order. Complete unless entries are removed at
   * the same time.
   */
  entries(): MapEntry[];
}

/**
 * The reader's side of a `ringBuffer`, which has one reader at a time.
 */
export interface RingReader extends Disposable {
  /**
   * Copies of the next records in the order in which they were reserved, `most`
   * at most. Ends before a record that a program is still writing.
   */
  read(most: number): Uint8Array<ArrayBuffer>[];
  /** Forgets what is there. */
  discard(): void;
}

/**
 * `schedCls` programs run on packets after (ingress) and before (egress) the
 * device's queues, `xdp` programs on frames before the kernel allocates packets
 * for them.
 */
export type ProgramType = "schedCls" | "xdp";

/** A program to load. */
export interface ProgramSpec {
  /** 1 to 15 letters, digits, `_` and `.`: what `bpftool` shows. */
  readonly name: string;
  readonly type: ProgramType;
  /**
   * Builds the instructions. If the kernel refuses them, it is called again to
   * find the source line of each, so it must build the same ones.
   */
  readonly build: () => readonly Instruction[];
  /** The maps, by the names that the instructions give them. */
  readonly maps?: Readonly<Record<string, BpfMap>>;
  /** Some helpers are for programs under the GPL only. */
  readonly license?: "GPL" | "Apache-2.0";
  /**
   * BPF_F_XDP_HAS_FRAGS, Linux 5.18: an `xdp` program that accepts multi-buffer
   * frames, which occur with an MTU of more than a page.
   */
  readonly xdpFragments?: boolean;
}

/**
 * A program, until it is disposed; the kernel keeps it while it is attached.
 */
export interface BpfProgram extends Disposable {
  readonly id: number;
  readonly name: string;
  readonly descriptor: number;
  /** A hash of the instructions, 16 hexadecimal digits: equal code, equal tag. */
  readonly tag: string;
  readonly mapIds: readonly number[];
}

/** The input of a test run. */
export interface TestRun {
  /** `schedCls`: 14 bytes or more, an Ethernet frame. */
  readonly data: Uint8Array;
  /** 1 by default. */
  readonly repeat?: number;
  /** `struct __sk_buff` or `struct xdp_md`; 0 lets the kernel choose. */
  readonly context?: Uint8Array;
  /** Size of the output buffer; by default 256 more than `data`. */
  readonly dataOutBytes?: number;
}

/** The result of a test run. */
export interface TestRunResult {
  /** The verdict, such as TC_ACT_OK, unsigned. */
  readonly returnValue: number;
  readonly data: Uint8Array<ArrayBuffer>;
  /** Average duration of one run, nanoseconds. */
  readonly durationNs: number;
  /** The context after the run, if the {@linkcode TestRun} had one. */
  readonly context?: Uint8Array<ArrayBuffer>;
}

/** Packets that come in through a device, or go out. */
export type Direction = "ingress" | "egress";

/**
 * A program attached to a device. `tcx` is the newer hook (Linux 6.6), which
 * runs first; `clsact` is a filter of the queueing discipline of that name.
 */
export interface AttachedProgram {
  readonly id: number;
  readonly name: string;
  readonly how: "tcx" | "clsact";
}

/** The program at a device's XDP hook. */
export interface XdpProgram {
  readonly id: number;
  readonly mode: "native" | "generic" | "offloaded";
}

/** The kernel's eBPF, seen from one network namespace. */
export interface Bpf extends Disposable {
  createMap(spec: MapSpec): BpfMap;
  /**
   * Throws {@linkcode ProgramRefusedError} with the source line if the verifier
   * refuses the program, and {@linkcode BadInstructionError} if it cannot be
   * assembled.
   */
  loadProgram(spec: ProgramSpec): BpfProgram;
  /** The map with that id; `undefined` if it is gone. */
  openMap(id: number): BpfMap | undefined;
  /** Maps the memory of a `ringBuffer`; the map may be disposed before it. */
  mapRing(map: BpfMap): RingReader;
  /** The program with that id; `undefined` if it is gone. */
  openProgram(id: number): BpfProgram | undefined;
  /** Runs a program on data of ours, with all its effects on its maps. */
  testRun(program: BpfProgram, run: TestRun): TestRunResult;
  /** The kind of hook that {@linkcode Bpf.attach} uses on a device. */
  hook(interfaceIndex: number, direction: Direction): AttachedProgram["how"];
  /** The programs attached to a device, in order; none if it is gone. */
  attachedPrograms(
    interfaceIndex: number,
    direction: Direction,
  ): AttachedProgram[];
  /**
   * Attaches a program to a device, after those already there. With `replace`
   * it replaces that one, atomically. `errno` is `EEXIST` if it is attached
   * already, `ENOENT` if the one to replace is not.
   */
  attach(
    interfaceIndex: number,
    direction: Direction,
    program: BpfProgram,
    options?: { replace?: AttachedProgram | undefined },
  ): AttachedProgram;
  /**
   * Detaches a program; `false` if it was not attached or the device is gone.
   */
  detach(
    interfaceIndex: number,
    direction: Direction,
    attached: AttachedProgram,
  ): boolean;
  /** The program at the XDP hook; the native one if there are several. */
  xdp(interfaceIndex: number): XdpProgram | undefined;
  /**
   * Attaches a program to the device's XDP hook, in the driver (native mode)
   * only; `undefined` detaches it.
   *
   * With `replaceId`, only if that program is attached, otherwise `errno` is
   * `EEXIST` (or `ENOENT` if there is no such program); Linux 5.7. Without it,
   * a program is attached only if there is none (`EBUSY`), and `undefined`
   * detaches any program.
   */
  setXdp(
    interfaceIndex: number,
    program: BpfProgram | undefined,
    options?: { replaceId?: number | undefined },
  ): void;
}
