/**
 * What the kernel data path uses of the kernel, each feature tried alone.
 *
 * A kernel's version says little: distributions add features to old kernels, and
 * builds leave some out. Trying a feature loads a small program or creates a
 * small map, which is gone afterwards. Nothing is attached, and no device is
 * changed.
 *
 * @module
 */

import type { Bpf, MapSpec, ProgramType } from "../../../linux/bpf/bpf.ts";
import type { HelperName } from "../../../linux/bpf/helpers.ts";
import {
  add,
  call,
  exit,
  type Instruction,
  jumpIf,
  label,
  mov,
  R0,
  R1,
  R10,
  R2,
  R3,
  R4,
  R6,
  store,
} from "../../../linux/bpf/instructions.ts";
import { ERRNO } from "../../../linux/errno.ts";
import { hasDecapUdp } from "./decap_udp.ts";
import { FeatureAbsentError, KernelFeatureMissingError } from "./errors.ts";
import { canRecordDrops } from "./kernel_drops.ts";
import { isForDrops, MAPS } from "./maps.ts";
import {
  ETHERNET,
  ETHERTYPE_IPV4,
  PLAIN_IPV4,
  SKB,
  SKB_BYTES,
} from "./programs/layout.ts";
import { FIXED_GSO, ROOM_MAC } from "./programs/parts.ts";

/** What the features are tried with. */
export interface FeatureParts {
  readonly bpf: Bpf;
  /** `undefined` if it cannot be seen: {@linkcode hasKernelModule}. */
  readonly hasModule: (name: string) => boolean | undefined;
  /** A device with the underlay's MTU. */
  readonly underlay: {
    readonly interfaceIndex: number;
    readonly mtuBytes: number;
  };
}

/** One thing that a kernel has or has not. */
export interface KernelFeature {
  readonly name: string;
  /** The first version of Linux with it. */
  readonly since: string;
  /** What Loden uses it for. */
  readonly gives: string;
  /** What happens without it. */
  readonly without: string;
  /** Whether there is no kernel data path without it. */
  readonly isRequired: boolean;
  /** Throws what the kernel says if it does not have the feature. */
  try(parts: FeatureParts): void;
}

/** A feature, and what the kernel said; `undefined`: it works. */
export interface FeatureFinding {
  readonly feature: KernelFeature;
  readonly problem: unknown;
}

const NO_EBPF = "no kernel data path: packets go through user space";
/** `struct bpf_fib_lookup`. */
const FIB_BYTES = 64;
/** Of a program's test run. */
const PACKET_BYTES = 1_000;
/** What `bpf_skb_adjust_room` adds in one call is limited to 4095 bytes. */
const ROOM_BYTES = 4_000;
/** SKB_MAX_ALLOC is 16 KiB and limits a packet that is not a super-packet. */
const GROWN_MOST_BYTES = 15_000;

const PROBE_MAP: MapSpec = {
  name: "loden_probe",
  type: "array",
  keyBytes: 4,
  valueBytes: 8,
  maxEntries: 1,
};

/** In the order in which one builds on another. */
export const KERNEL_FEATURES: readonly KernelFeature[] = [
  required("bpf", "4.1", "programs and maps in the kernel", ({ bpf }) => {
    using _map = bpf.createMap(PROBE_MAP);
  }),
  required(
    "maps",
    "4.11",
    "the tables of peers and counters",
    ({ bpf }) => {
      for (const [name, spec] of Object.entries(MAPS)) {
        if (isForDrops(name)) continue;
        using _map = bpf.createMap({ ...spec, maxEntries: 1 });
      }
    },
  ),
  required("tc programs", "4.1", "programs at devices", ({ bpf }) => {
    load(bpf, "schedCls", [mov(R0, 0)]);
  }),
  required(
    "test runs",
    "4.12",
    "packets that arrive in fragments",
    ({ bpf }) => {
      using program = bpf.loadProgram({
        name: "loden_probe",
        type: "schedCls",
        build: () => [mov(R0, 0), exit()],
      });
      bpf.testRun(program, { data: testFrame() });
    },
  ),
  helper("fib_lookup", "4.18", "checks of the arriving interface", [
    ...Array.from(
      { length: FIB_BYTES / 8 },
      (_, index) => store("u64", R10, index * 8 - FIB_BYTES, 0),
    ),
    mov(R2, R10),
    add(R2, -FIB_BYTES),
    mov(R3, FIB_BYTES),
    mov(R4, 0),
  ]),
  helper("jiffies64", "5.6", "deadlines of peers"),
  helper("ktime_get_boot_ns", "5.8", "deadlines of peers"),
  helper("csum_level", "5.8", "packets without trusted checksums", [
    mov(R2, 0),
  ]),
  helper("redirect_neigh", "5.10", "packets to the underlay", [
    mov(R1, 1),
    mov(R2, 0),
    mov(R3, 0),
    mov(R4, 0),
  ]),
  required(
    "bpf_skb_adjust_room beyond the MTU",
    "5.12",
    "outer headers on packets of full size",
    tryRoom,
  ),
  required("veth", "2.6.24", "the overlay device", ({ hasModule }) => {
    requireModules(hasModule, "veth");
  }),
  required(
    "a hook for tc programs",
    "4.5",
    "programs at devices, by tcx or by cls_bpf",
    (parts) => {
      if (hook(parts) === "clsact") {
        requireModules(parts.hasModule, "cls_bpf", "sch_ingress");
      }
    },
  ),
  {
    name: "tcx",
    since: "6.6",
    gives: "programs that share a device with those of other software",
    without: "cls_bpf holds the programs, with priorities from 8285",
    isRequired: false,
    try(parts) {
      if (hook(parts) === "tcx") return;
      throw new FeatureAbsentError("tcx", "the kernel has no such hook");
    },
  },
  {
    name: "XDP with metadata",
    since: "4.15",
    gives: "receive mode xdp",
    without: "receive mode gro",
    isRequired: false,
    try({ bpf }) {
      load(bpf, "xdp", [
        mov(R6, R1),
        mov(R2, 0),
        call("xdp_adjust_meta"),
        mov(R1, R6),
        mov(R2, 0),
        call("xdp_adjust_head"),
        mov(R0, 2),
      ]);
    },
  },
  {
    name: "BPF ring buffers",
    since: "5.8",
    gives: "dropped packets in loden monitor",
    without: "loden monitor shows changes only",
    isRequired: false,
    try({ bpf }) {
      if (canRecordDrops(bpf)) return;
      throw new FeatureAbsentError(
        "BPF ring buffers",
        "the kernel has no such maps, or refuses what writes to them",
      );
    },
  },
  {
    name: "BPF_F_ADJ_ROOM_DECAP_L4_UDP",
    since: "7.3",
    gives: "whole super-packets between hosts of one kernel",
    without: "between hosts of one kernel, super-packets are segmented",
    isRequired: false,
    try({ bpf }) {
      if (hasDecapUdp(bpf)) return;
      throw new FeatureAbsentError(
        "BPF_F_ADJ_ROOM_DECAP_L4_UDP",
        "the kernel refuses the flag",
      );
    },
  },
];

/** Tries all of them; a feature that fails does not end the others. */
export function tryKernelFeatures(
  parts: FeatureParts,
  features: readonly KernelFeature[] = KERNEL_FEATURES,
): FeatureFinding[] {
  return features.map((feature) => ({
    feature,
    problem: problemOf(feature, parts),
  }));
}

/**
 * Requires what a kernel can lack although it loads and attaches all programs.
 * Everything else shows when the data path starts. Throws
 * {@linkcode KernelFeatureMissingError}.
 */
export function requireRoom(parts: Pick<FeatureParts, "bpf" | "underlay">) {
  try {
    tryRoom(parts);
  } catch (error) {
    const feature = KERNEL_FEATURES.find((each) => each.try === tryRoom)!;
    throw new KernelFeatureMissingError(feature, error);
  }
}

/**
 * The error for a data path that did not start: it names the first required
 * feature that the kernel lacks. `undefined` if the kernel has all.
 */
export function missingFeature(
  parts: FeatureParts,
): KernelFeatureMissingError | undefined {
  for (const feature of KERNEL_FEATURES) {
    if (!feature.isRequired) continue;
    const problem = problemOf(feature, parts);
    if (problem !== undefined) {
      return new KernelFeatureMissingError(feature, problem);
    }
  }
  return undefined;
}

function problemOf(feature: KernelFeature, parts: FeatureParts): unknown {
  try {
    feature.try(parts);
    return undefined;
  } catch (error) {
    return error;
  }
}

function required(
  name: string,
  since: string,
  gives: string,
  attempt: KernelFeature["try"],
): KernelFeature {
  return {
    name,
    since,
    gives,
    without: NO_EBPF,
    isRequired: true,
    try: attempt,
  };
}

/** A helper that the verifier knows; R1 is the context. */
function helper(
  name: HelperName,
  since: string,
  gives: string,
  operands: readonly Instruction[] = [],
): KernelFeature {
  return required(
    `bpf_${name}`,
    since,
    gives,
    ({ bpf }) => load(bpf, "schedCls", [...operands, call(name)]),
  );
}

function load(
  bpf: Bpf,
  type: ProgramType,
  body: readonly Instruction[],
): void {
  using _program = bpf.loadProgram({
    name: "loden_probe",
    type,
    build: () => [...body, mov(R0, 0), exit()],
  });
}

/**
 * Kernels before 5.12 limit a packet to its device's MTU: `__bpf_skb_max_len` in
 * `net/core/filter.c`. The verifier does not show it, so a packet grows beyond
 * the MTU of the underlay.
 */
function tryRoom(
  { bpf, underlay }: Pick<FeatureParts, "bpf" | "underlay">,
): void {
  const beyondBytes = underlay.mtuBytes + ETHERNET.BYTES + 1;
  // No packet is that large without being a super-packet, which has no limit.
  if (beyondBytes > GROWN_MOST_BYTES - ROOM_BYTES) return;
  const calls = Math.ceil((beyondBytes - PACKET_BYTES) / ROOM_BYTES);
  using program = bpf.loadProgram({
    name: "loden_room",
    type: "schedCls",
    build: () => [
      mov(R6, R1),
      ...Array.from({ length: Math.max(1, calls) }, () => [
        mov(R1, R6),
        mov(R2, ROOM_BYTES),
        mov(R3, ROOM_MAC),
        mov(R4, FIXED_GSO),
        call("skb_adjust_room"),
        jumpIf(R0, "!=", 0, "end"),
      ]).flat(),
      label("end"),
      exit(),
    ],
  });
  const context = new Uint8Array(SKB_BYTES);
  new DataView(context.buffer)
    .setUint32(SKB.INTERFACE, underlay.interfaceIndex, true);
  const { returnValue } = bpf.testRun(program, {
    data: testFrame(),
    context,
    dataOutBytes: PACKET_BYTES + ROOM_BYTES * Math.max(1, calls),
  });
  // A lack of memory says nothing about the kernel.
  if (returnValue === 0 || (returnValue | 0) === -ERRNO.ENOMEM) return;
  throw new FeatureAbsentError(
    "bpf_skb_adjust_room beyond the MTU",
    `the kernel answers ${returnValue | 0}`,
  );
}

function testFrame(): Uint8Array {
  const frame = new Uint8Array(PACKET_BYTES);
  const view = new DataView(frame.buffer);
  view.setUint16(ETHERNET.TYPE, ETHERTYPE_IPV4);
  view.setUint8(ETHERNET.BYTES, PLAIN_IPV4);
  return frame;
}

function hook({ bpf, underlay }: FeatureParts): "tcx" | "clsact" {
  return bpf.hook(underlay.interfaceIndex, "ingress");
}

/** What cannot be seen counts as there. */
function requireModules(
  hasModule: FeatureParts["hasModule"],
  ...names: readonly string[]
): void {
  for (const name of names) {
    if (hasModule(name) !== false) continue;
    throw new FeatureAbsentError(
      name,
      `the kernel has no module ${name}, and none is built in`,
    );
  }
}
