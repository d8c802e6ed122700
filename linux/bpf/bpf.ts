/**
 * Maps, programs and the places where programs run, as far as a packet data
 * path needs them.
 *
 * Calls are synchronous: none of them waits. When the kernel refuses, every
 * method throws a {@linkcode SystemCallError} with the kernel's errno, a
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
 * always there.
 */
export type MapType =
  | "hash"
  | "array"
  | "percpuHash"
  | "percpuArray"
  | "lruHash"
  | "lpmTrie";

/** A map to make. */
export interface MapSpec {
  /** 1 to 15 letters, digits, `_` and `.`: what `bpftool` shows. */
  readonly name: string;
  readonly type: MapType;
  readonly keyBytes: number;
  /** Of one CPU, in a map per CPU. */
  readonly valueBytes: number;
  readonly maxEntries: number;
  /**
   * BPF_F_NO_PREALLOC: memory only for entries that are there. Always so for a
   * `lpmTrie`, which knows no other way; for no array.
   */
  readonly noPreallocate?: boolean;
}

/** One entry of a map. */
export interface MapEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Whether an update may make (`create`) or change (`exist`) an entry, or both. */
export type UpdateMode = "any" | "create" | "exist";

/**
 * A map, for as long as it is not disposed: the kernel keeps it for as long as
 * a program uses it.
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
  /** The value's bytes, a copy; `undefined` when there is none. */
  lookup(key: Uint8Array): Uint8Array<ArrayBuffer> | undefined;
  /**
   * Puts an entry, in one step for those who read it. `errno` is `EEXIST` or
   * `ENOENT` where `mode` does not allow it, `E2BIG` or `ENOSPC` when the map is
   * full.
   */
  update(key: Uint8Array, value: Uint8Array, mode?: UpdateMode): void;
  /** Puts entries, in one call where the kernel can (Linux 5.6, lpmTrie 5.14). */
  updateMany(entries: Iterable<MapEntry>): void;
  /** Whether the entry was there. Entries of an array cannot be removed. */
  delete(key: Uint8Array): boolean;
  /**
   * All entries, in the kernel's order. Complete as long as nobody else removes
   * entries meanwhile.
   */
  entries(): MapEntry[];
}

/**
 * `schedCls` programs run on packets after (ingress) and before (egress) the
 * device's queues, `xdp` programs on frames before the kernel makes packets of
 * them.
 */
export type ProgramType = "schedCls" | "xdp";

/** A program to load. */
export interface ProgramSpec {
  /** 1 to 15 letters, digits, `_` and `.`: what `bpftool` shows. */
  readonly name: string;
  readonly type: ProgramType;
  /**
   * Makes the instructions. When they are refused it is called again, to learn
   * in which line each was written: it must make the same ones.
   */
  readonly build: () => readonly Instruction[];
  /** The maps, by the names that the instructions give them. */
  readonly maps?: Readonly<Record<string, BpfMap>>;
  /** Some helpers are for programs under the GPL only. */
  readonly license?: "GPL" | "Apache-2.0";
  /**
   * BPF_F_XDP_HAS_FRAGS, Linux 5.18: an `xdp` program that can do with frames in
   * several pieces, as there are with an MTU of more than a page.
   */
  readonly xdpFragments?: boolean;
}

/** A program, for as long as it is not disposed or runs somewhere. */
export interface BpfProgram extends Disposable {
  readonly id: number;
  readonly name: string;
  readonly descriptor: number;
  /** A hash of the instructions, 16 hexadecimal digits: equal code, equal tag. */
  readonly tag: string;
  readonly mapIds: readonly number[];
}

/** What to run a program on. */
export interface TestRun {
  /** `schedCls`: 14 bytes or more, an Ethernet frame. */
  readonly data: Uint8Array;
  /** 1 unless told. */
  readonly repeat?: number;
  /** `struct __sk_buff` or `struct xdp_md`; 0 where the kernel shall choose. */
  readonly context?: Uint8Array;
  /** Room for what the program makes of the data; 256 more than `data` unless told. */
  readonly dataOutBytes?: number;
}

/** What came of it. */
export interface TestRunResult {
  /** The verdict, such as TC_ACT_OK, unsigned. */
  readonly returnValue: number;
  readonly data: Uint8Array<ArrayBuffer>;
  /** Of one run, the average, nanoseconds. */
  readonly durationNs: number;
  /** As long as the context of the {@linkcode TestRun}, when it had one. */
  readonly context?: Uint8Array<ArrayBuffer>;
}

/** Packets that come in through a device, or go out. */
export type Direction = "ingress" | "egress";

/**
 * A program that runs at a device. `tcx` is the newer hook (Linux 6.6), which
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
   * Throws {@linkcode ProgramRefusedError} with the line in the sources when the
   * kernel finds the program unsafe, and {@linkcode BadInstructionError} when it
   * cannot be assembled.
   */
  loadProgram(spec: ProgramSpec): BpfProgram;
  /** The map with that id; `undefined` when it is gone. */
  openMap(id: number): BpfMap | undefined;
  /** The program with that id; `undefined` when it is gone. */
  openProgram(id: number): BpfProgram | undefined;
  /** Runs a program on data of ours, with all its effects on its maps. */
  testRun(program: BpfProgram, run: TestRun): TestRunResult;
  /** The programs that run at a device, in their order; none when it is gone. */
  attachedPrograms(
    interfaceIndex: number,
    direction: Direction,
  ): AttachedProgram[];
  /**
   * Lets a program run at a device, behind those that are there. With `replace`
   * it takes the place of that one, between two packets. `errno` is `EEXIST`
   * when it runs there already, `ENOENT` when the one to replace does not.
   */
  attach(
    interfaceIndex: number,
    direction: Direction,
    program: BpfProgram,
    options?: { replace?: AttachedProgram | undefined },
  ): AttachedProgram;
  /** Whether the program ran there; `false` also when the device is gone. */
  detach(
    interfaceIndex: number,
    direction: Direction,
    attached: AttachedProgram,
  ): boolean;
  /** The program at the XDP hook; the native one if there are several. */
  xdp(interfaceIndex: number): XdpProgram | undefined;
  /**
   * Puts a program to the device's XDP hook, in the driver (native mode) and
   * nowhere else; `undefined` takes it away.
   *
   * With `replaceId` only if that program is there, else `errno` is `EEXIST`
   * (or `ENOENT` when the kernel knows no such program at all); Linux 5.7.
   * Without, a program is put only where there is none (`EBUSY`), and
   * `undefined` takes away whichever is there.
   */
  setXdp(
    interfaceIndex: number,
    program: BpfProgram | undefined,
    options?: { replaceId?: number | undefined },
  ): void;
}
