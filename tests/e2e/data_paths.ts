/**
 * The data paths that the tests run on, and all in which they differ by design.
 *
 * A test asks here what a path does; it does not ask which path it is.
 *
 * @module
 */

import { UDP_FEATURES } from "../../backend/udp/features.ts";
import type { LinkMode } from "../rig/link_mode.ts";

/** Words of `--datapath`. */
export type DataPath = "tun" | "ebpf";

/** What a path does in its own way. */
export interface DataPathTraits {
  /**
   * Taken from a packet's TTL by each end, beside the one that each host's
   * kernel takes when it forwards.
   */
  readonly ttlTaken: number;
  /** Kind of the overlay device, as `ip -details link` calls it. */
  readonly deviceKind: string;
  /** Whether packets flow while no agent runs. */
  readonly flowsWithoutAgent: boolean;
  /**
   * Whether the path itself ends packets that cannot go on (TTL spent, larger
   * than the path to the peer): then its counters tell of them. Else the host's
   * routing does it, before or behind the path.
   */
  readonly answersItself: boolean;
  /** Whether its outer packets go through the chains INPUT and OUTPUT. */
  readonly outerCrossesFirewall: boolean;
  /**
   * Whether it sees the packets of the underlay before the host's own checks of
   * their addresses.
   */
  readonly seesBeforeHost: boolean;
  /**
   * Whether an agent sends and receives each packet, and counts the calls and
   * the super-packets.
   */
  readonly sendsAndReceives: boolean;
  /** Words of `--disable-feature` that mean something to it. */
  readonly features: readonly string[];
}

/** The words that mean something to the kernel path; the others do not. */
const OF_THE_KERNEL: readonly string[] = [
  "tcx",
  "flow-spreading",
  "drop-events",
] satisfies (keyof typeof UDP_FEATURES)[];

const TRAITS: Readonly<Record<DataPath, DataPathTraits>> = {
  // Like flannel's, compat 7.5.
  tun: {
    ttlTaken: 1,
    deviceKind: "tun",
    flowsWithoutAgent: false,
    answersItself: true,
    outerCrossesFirewall: true,
    seesBeforeHost: false,
    sendsAndReceives: true,
    features: Object.keys(UDP_FEATURES).filter((word) =>
      !OF_THE_KERNEL.includes(word)
    ),
  },
  // Like the kernel's own VXLAN: an overlay hop costs nothing.
  ebpf: {
    ttlTaken: 0,
    deviceKind: "veth",
    flowsWithoutAgent: true,
    answersItself: false,
    outerCrossesFirewall: false,
    seesBeforeHost: true,
    sendsAndReceives: false,
    features: OF_THE_KERNEL,
  },
};

/** What a path does in its own way. */
export function traitsOf(dataPath: DataPath): DataPathTraits {
  return TRAITS[dataPath];
}

/** What the hosts of a test run, and on what cables. */
export interface Setup {
  /** Stands before a test's name. */
  readonly name: string;
  /** Of the first host, of the second …; hosts beyond have the first's. */
  readonly dataPaths: readonly DataPath[];
  readonly linkMode: LinkMode;
  readonly underlayMtuBytes: number;
  /** For every agent. */
  readonly flags: readonly string[];
  /** Of the first host's path. */
  readonly traits: DataPathTraits;
}

const LINK_MODES: readonly LinkMode[] = ["super", "software"];
const MTU_BYTES = 1500;
const LARGE_MTU_BYTES = 9000;
const RECEIVE_MODES = ["xdp", "gro", "direct"] as const;

/** Every data path, the same on all hosts. */
export const DATA_PATHS: readonly DataPath[] = ["tun", "ebpf"];

/** One setup for each data path: for what does not depend on cables. */
export const EACH_PATH: readonly Setup[] = DATA_PATHS
  .map((path) => setup([path, path], "super"));

/** The one that lives in the kernel. */
export const KERNEL_PATH: readonly Setup[] = EACH_PATH
  .filter(({ traits }) => traits.flowsWithoutAgent);

/** It where packets cross one by one, so that it takes them in another way. */
export const KERNEL_PATH_SOFTWARE: readonly Setup[] = KERNEL_PATH
  .map(({ dataPaths: [first] }) => setup([first!, first!], "software"));

/** Each data path beside each other one, and beside itself. */
export const EACH_PAIR: readonly Setup[] = pairs()
  .map((pair) => setup(pair, "super"));

/** Hosts on one overlay: on the kernel path, but for the third. */
export const BOTH_PATHS: Setup = {
  ...setup(["ebpf", "ebpf"], "super"),
  name: "both paths",
  dataPaths: ["ebpf", "ebpf", "tun"],
};

/** {@linkcode EACH_PAIR} on every kind of cable: for what moves data. */
export const EACH_PAIR_AND_LINK: readonly Setup[] = LINK_MODES
  .flatMap((mode) => pairs().map((pair) => setup(pair, mode)));

/**
 * Every way in which packets of the underlay can meet a data path: each receive
 * mode of the kernel's parses them in another place.
 */
export const EACH_RECEIVER: readonly Setup[] = receivers("super");

/** {@linkcode EACH_RECEIVER} on every kind of cable. */
export const EACH_RECEIVER_AND_LINK: readonly Setup[] = LINK_MODES
  .flatMap(receivers);

/** {@linkcode EACH_PATH} where one packet is more than a page of memory. */
export const EACH_PATH_LARGE_MTU: readonly Setup[] = EACH_PATH.map(largeMtu);

/**
 * Each place that parses frames of the underlay, and memory of each form: the
 * XDP program before the kernel, the program behind it where packets are merged
 * and have several pages, and user space.
 */
export const HOSTILE_FRAMES: readonly Setup[] = [
  receiver("xdp", "software"),
  largeMtu(receiver("gro", "super")),
  largeMtu(setup(["tun", "tun"], "super")),
];

function largeMtu(setup: Setup): Setup {
  return {
    ...setup,
    name: `${setup.name}, underlay of ${LARGE_MTU_BYTES} bytes`,
    underlayMtuBytes: LARGE_MTU_BYTES,
  };
}

function pairs(): [DataPath, DataPath][] {
  return DATA_PATHS.flatMap((first) =>
    DATA_PATHS.map((second): [DataPath, DataPath] => [first, second])
  );
}

function receivers(linkMode: LinkMode): Setup[] {
  return DATA_PATHS.flatMap((path) =>
    path === "tun"
      ? [setup([path, path], linkMode)]
      : RECEIVE_MODES.map((mode) => receiver(mode, linkMode))
  );
}

function setup(
  dataPaths: readonly [DataPath, DataPath],
  linkMode: LinkMode,
): Setup {
  const [first, second] = dataPaths;
  const name = first === second ? first : `${first} and ${second}`;
  return {
    name: named(name, linkMode),
    dataPaths,
    linkMode,
    underlayMtuBytes: MTU_BYTES,
    flags: [],
    traits: traitsOf(first),
  };
}

function receiver(
  mode: typeof RECEIVE_MODES[number],
  linkMode: LinkMode,
): Setup {
  return {
    name: named(`ebpf, receive ${mode}`, linkMode),
    dataPaths: ["ebpf", "ebpf"],
    linkMode,
    underlayMtuBytes: MTU_BYTES,
    flags: [`--ebpf-receive=${mode}`],
    traits: traitsOf("ebpf"),
  };
}

/** `super` is how a rig is made, and is not named. */
function named(name: string, linkMode: LinkMode): string {
  return linkMode === "super" ? name : `${name}, ${linkMode} links`;
}
