/**
 * Tries the kernel's features that the backends use, each on its own, in a network
 * namespace that is thrown away.
 *
 * @module
 */

import { describeError, LodenError } from "../errors.ts";
import type { Bpf, BpfProgram } from "../linux/bpf/bpf.ts";
import { exit, mov, R0 } from "../linux/bpf/instructions.ts";
import type { Rtnetlink, VethPair } from "../linux/netlink/rtnetlink.ts";
import type { TunDevice, TunOptions } from "../linux/tun.ts";
import { toIpv4 } from "../net/ipv4.ts";
import {
  type FeatureParts,
  type KernelFeature,
  tryKernelFeatures,
} from "./udp/ebpf/kernel_features.ts";

/** Features by name, in the order in which they are tried. */
export const FEATURES = [
  "tun",
  "veth",
  "bpf",
  "tcx",
  "clsact",
  "xdp",
  "vxlan",
  "ipip",
  "wireguard",
] as const;

/** One of them. */
export type Feature = typeof FEATURES[number];

/** Modules that a feature needs: to try it would load them. */
export const FEATURE_MODULES: Readonly<Record<Feature, readonly string[]>> = {
  tun: ["tun"],
  veth: ["veth"],
  bpf: [],
  tcx: [],
  clsact: ["sch_ingress", "cls_bpf"],
  xdp: ["veth"],
  vxlan: ["vxlan"],
  ipip: ["ipip"],
  wireguard: ["wireguard"],
};

/** The result of one. */
export interface FeatureTrial {
  readonly feature: Feature;
  readonly works: boolean;
  /** What it has, or why it does not work. */
  readonly detail: string;
  /** What to do, if that is known. */
  readonly fix?: string;
  /** Of `bpf`: everything that the kernel data path uses, by name. */
  readonly parts?: readonly PartTrial[];
}

/** A feature of the kernel data path: `backend/udp/ebpf/kernel_features.ts`. */
export interface PartTrial
  extends Pick<KernelFeature, "name" | "since" | "without" | "isRequired"> {
  /** Why it does not work; `undefined`: it does. */
  readonly problem: string | undefined;
}

/** The kernel, in the namespace that is thrown away. */
export interface TrialParts {
  readonly rtnetlink: Pick<
    Rtnetlink,
    "createVethPair" | "createVxlan" | "createIpip" | "createWireguard"
  >;
  readonly openBpf: (options: { readonly tcx: boolean }) => Bpf;
  readonly openTun: (options: TunOptions) => TunDevice;
}

const NAME = "loden-try";
const MTU_BYTES = 1400;
/** Every network namespace has it, with this index. */
const LOOPBACK_INDEX = 1;
/** Too large to try what a small MTU limits. */
const LOOPBACK = { interfaceIndex: LOOPBACK_INDEX, mtuBytes: 65_536 };
/** TEST-NET-1 (RFC 5737). */
const ADDRESS = toIpv4(0xc000_0201);
const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
const PEER_MAC = Uint8Array.of(2, 0, 0, 0, 0, 2);

/** Tries these features, one after the other. A refusal is a result. */
export function tryFeatures(
  features: readonly Feature[],
  parts: TrialParts,
): FeatureTrial[] {
  let pair: VethPair | undefined;
  const trials: Readonly<Record<Feature, () => string | BpfTrial>> = {
    tun: () => tryTun(parts),
    veth: () => {
      veth();
      return "";
    },
    bpf: () => ({
      parts: tryPath(parts, pair === undefined ? LOOPBACK : small(pair)),
    }),
    tcx: () => tryHook(parts, true),
    clsact: () => tryHook(parts, false),
    xdp: () => tryXdp(parts, veth().link.index),
    vxlan: () => {
      parts.rtnetlink.createVxlan({
        name: `${NAME}-vx`,
        mac: MAC,
        mtuBytes: MTU_BYTES,
        local: ADDRESS,
        vni: 1,
        underlayIndex: LOOPBACK_INDEX,
        port: 8472,
        learning: false,
        outerChecksum: false,
        groupPolicy: false,
      });
      return "";
    },
    ipip: () => {
      parts.rtnetlink.createIpip({
        name: `${NAME}-ip`,
        local: ADDRESS,
        mtuBytes: MTU_BYTES,
      });
      return "";
    },
    wireguard: () => {
      parts.rtnetlink.createWireguard({
        name: `${NAME}-wg`,
        mtuBytes: MTU_BYTES,
      });
      return "";
    },
  };
  const veth = () =>
    pair ??= parts.rtnetlink.createVethPair({
      name: NAME,
      peerName: `${NAME}p`,
      mac: MAC,
      peerMac: PEER_MAC,
      mtuBytes: MTU_BYTES,
      peerMtuBytes: MTU_BYTES,
    });
  return features.map((feature) => {
    try {
      const result = trials[feature]();
      return typeof result === "string"
        ? { feature, works: true, detail: result }
        : { feature, ...ofParts(result.parts) };
    } catch (error) {
      if (!(error instanceof LodenError)) throw error;
      const { hint: fix, message: detail } = error;
      return { feature, works: false, detail, ...fix && { fix } };
    }
  });
}

/** What the trial of `bpf` says. */
interface BpfTrial {
  readonly parts: readonly PartTrial[];
}

function ofParts(
  parts: readonly PartTrial[],
): Omit<FeatureTrial, "feature"> {
  const missing = parts.find(({ isRequired, problem }) =>
    isRequired && problem !== undefined
  );
  return {
    works: missing === undefined,
    detail: missing === undefined
      ? ""
      : `${missing.name} (since Linux ${missing.since}): ${missing.problem}`,
    parts,
  };
}

function small({ link }: VethPair): FeatureParts["underlay"] {
  return { interfaceIndex: link.index, mtuBytes: MTU_BYTES };
}

/** The device is of the namespace and goes with it. */
function tryTun({ openTun }: TrialParts): string {
  const { tcpOffload, udpOffload } = openTun({
    name: `${NAME}%d`,
    tcpOffload: true,
    udpOffload: true,
  });
  const offloads = [
    ...tcpOffload ? ["TCP"] : [],
    ...udpOffload ? ["UDP"] : [],
  ];
  return offloads.length === 0
    ? "without offloads"
    : `with ${offloads.join(" and ")} offload`;
}

/** Modules are looked at before anything is tried. */
function tryPath(
  { openBpf }: TrialParts,
  underlay: FeatureParts["underlay"],
): PartTrial[] {
  using bpf = openBpf({ tcx: true });
  return tryKernelFeatures({ bpf, hasModule: () => undefined, underlay })
    .map(({ feature, problem }) => ({
      name: feature.name,
      since: feature.since,
      without: feature.without,
      isRequired: feature.isRequired,
      problem: problem === undefined ? undefined : describeError(problem),
    }));
}

function tryHook({ openBpf }: TrialParts, tcx: boolean): string {
  using bpf = openBpf({ tcx });
  using program = loadPass(bpf, "schedCls");
  const attached = bpf.attach(LOOPBACK_INDEX, "ingress", program);
  bpf.detach(LOOPBACK_INDEX, "ingress", attached);
  if (tcx && attached.how !== "tcx") throw new NoTcxError();
  return "";
}

/** `bpf.attach` falls back on its own. */
class NoTcxError extends LodenError {
  constructor() {
    super("linux.no-tcx", "the kernel has no such hooks (Linux 6.6 and later)");
  }
}

function tryXdp({ openBpf }: TrialParts, interfaceIndex: number): string {
  using bpf = openBpf({ tcx: true });
  using program = loadPass(bpf, "xdp");
  bpf.setXdp(interfaceIndex, program);
  bpf.setXdp(interfaceIndex, undefined);
  return "";
}

/** TC_ACT_OK is 0, XDP_PASS is 2. */
function loadPass(bpf: Bpf, type: "schedCls" | "xdp"): BpfProgram {
  return bpf.loadProgram({
    name: "loden_try",
    type,
    build: () => [mov(R0, type === "xdp" ? 2 : 0), exit()],
  });
}
