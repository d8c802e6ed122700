/**
 * A host in memory for the kernel data path: devices, hooks and routes, of which
 * nothing carries a packet.
 *
 * @module
 */

import {
  EbpfDataPath,
  type EbpfDataPathParts,
} from "../../backend/udp/ebpf/ebpf_data_path.ts";
import {
  decodePeer,
  type MapName,
  MAPS,
  type Maps,
  type PeerEntry,
  subnetOfKey,
} from "../../backend/udp/ebpf/maps.ts";
import type { HostConstants } from "../../backend/udp/ebpf/programs/constants.ts";
import { ownershipOf } from "../../backend/udp/ebpf/ownership.ts";
import type { UdpDataPathOptions } from "../../backend/udp/data_path.ts";
import type {
  Bpf,
  BpfMap,
  BpfProgram,
  ProgramType,
  TestRun,
  TestRunResult,
} from "../../linux/bpf/bpf.ts";
import { exit, mov, R0 } from "../../linux/bpf/instructions.ts";
import { MAIN_TABLE } from "../../linux/netlink/route.ts";
import type {
  Link,
  NewRoute,
  NewVethPair,
  VethPair,
} from "../../linux/netlink/rtnetlink.ts";
import { formatCidr } from "../../net/cidr.ts";
import type { PeerTrust } from "../../net/peer_trust.ts";
import { ipv4ToBytes } from "../../net/ipv4.ts";
import { overlayMtu, underlayMtu } from "../../net/mtu.ts";
import { FakeBpf, type FakeProgramRecord } from "../fakes/fake_bpf.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { FakeEthtool } from "../fakes/fake_ethtool.ts";
import { FakeRtnetlink } from "../fakes/fake_rtnetlink.ts";
import { address, network } from "./kernel_world.ts";

export const ALIAS = "loden:/coreos.com/network";
export const OWNER = ownershipOf(ALIAS);
/** Another network's. */
export const STRANGER = ownershipOf("loden:/other");

/** One that does nothing. */
export function idleProgram(
  bpf: Bpf,
  name: string,
  type: ProgramType = "schedCls",
): BpfProgram {
  return bpf.loadProgram({ name, type, build: () => [mov(R0, 0), exit()] });
}

/** All of them, new. */
export function newMaps(bpf: Bpf): Maps {
  return Object.fromEntries(
    Object.entries(MAPS).map(([name, spec]) => [name, bpf.createMap(spec)]),
  ) as Record<MapName, BpfMap>;
}

/** What programs are assembled with; the devices need not be there. */
export const HOST: HostConstants = {
  suffix: OWNER.suffix,
  mark: OWNER.mark,
  subnet: network("10.1.1.0/24"),
  underlayAddress: address("192.0.2.1"),
  port: 8285,
  sourcePort: "hash",
  senderCheck: "strict",
  checksInterface: true,
  device: { interfaceIndex: 11, mac: OWNER.mac },
  hop: { interfaceIndex: 10, mac: OWNER.peerMac },
  cutUdp: false,
  decapUdp: false,
  recordsDrops: true,
};

/** Peers of a map as text, sorted by subnet. */
export function peersIn(map: BpfMap): Record<string, PeerEntry> {
  return Object.fromEntries(
    map.entries().map(({ key, value }): [string, PeerEntry] => [
      formatCidr(subnetOfKey(key)),
      decodePeer(value),
    ]).sort(([a], [b]) => a < b ? -1 : 1),
  );
}

/** Lets the call after the next `calls` ones throw, once. */
export function failOnce<Target extends object>(
  target: Target,
  method: keyof Target & string,
  calls: number,
  error: Error,
): void {
  const original = target[method] as (...args: unknown[]) => unknown;
  Object.defineProperty(target, method, {
    configurable: true,
    value(this: Target, ...args: unknown[]) {
      if (calls-- > 0) return original.apply(this, args);
      Reflect.deleteProperty(target, method);
      throw error;
    },
  });
}

/** A namespace whose pairs have offloads, and in which nothing goes unseen. */
export class WatchedRtnetlink extends FakeRtnetlink {
  /** Before routes are changed. */
  onRoutes: (what: "put" | "remove", routes: readonly NewRoute[]) => void =
    () => {};
  /** Before a device goes: its programs go with it. */
  onDelete: (interfaceIndex: number) => void = () => {};
  /** Hardware addresses that were given to devices. */
  readonly macs: Map<string, Uint8Array> = new Map();
  /** Requests that change something. */
  changes = 0;
  readonly #ethtool: FakeEthtool;

  constructor(ethtool: FakeEthtool) {
    super();
    this.#ethtool = ethtool;
  }

  override links(): Link[] {
    return super.links().map((link) => ({
      ...link,
      mac: this.macs.get(link.name) ?? link.mac,
    }));
  }

  override createVethPair(pair: NewVethPair): VethPair {
    this.changes++;
    const made = super.createVethPair(pair);
    for (const { name } of [made.link, made.peer]) this.#ethtool.plugIn(name);
    return made;
  }

  override deleteLink(interfaceIndex: number): boolean {
    this.changes++;
    const gone = this.links().find(({ index }) => index === interfaceIndex);
    for (const index of [gone?.index, gone?.peerIndex]) {
      if (index !== undefined) this.onDelete(index);
    }
    return super.deleteLink(interfaceIndex);
  }

  override changeLink(
    ...args: Parameters<FakeRtnetlink["changeLink"]>
  ): void {
    this.changes++;
    super.changeLink(...args);
  }

  override replaceRoutes(routes: readonly NewRoute[]): void {
    this.changes++;
    this.onRoutes("put", routes);
    super.replaceRoutes(routes);
  }

  override removeRoutes(routes: readonly NewRoute[]): number {
    this.changes++;
    this.onRoutes("remove", routes);
    return super.removeRoutes(routes);
  }
}

const REDIRECT = 7;
const ETHERNET_BYTES = 14;
const OUTER_BYTES = 28;
/** Where the outer packet's destination is. */
const DESTINATION = ETHERNET_BYTES + 16;

/** What the real programs do to the packets that a start tries them with. */
export function passPacket(
  { spec }: FakeProgramRecord,
  { data }: TestRun,
): TestRunResult {
  if (spec.name === "loden_room") {
    return { returnValue: 0, data: data.slice(), durationNs: 1 };
  }
  const isEgress = spec.name.startsWith("loden_tx");
  const result = new Uint8Array(
    isEgress ? data.length + OUTER_BYTES : data.length - OUTER_BYTES,
  );
  const from = isEgress ? ETHERNET_BYTES : ETHERNET_BYTES + OUTER_BYTES;
  const to = isEgress ? ETHERNET_BYTES + OUTER_BYTES : ETHERNET_BYTES;
  result.set(data.subarray(from), to);
  if (isEgress) result.set(ipv4ToBytes(address("192.0.2.1")), DESTINATION);
  return { returnValue: REDIRECT, data: result, durationNs: 1 };
}

/** A host with `eth0`, 192.0.2.1/24, hardware. */
export class EbpfWorld {
  readonly ethtool: FakeEthtool = new FakeEthtool();
  readonly rtnetlink: WatchedRtnetlink = new WatchedRtnetlink(this.ethtool);
  readonly bpf: FakeBpf = new FakeBpf();
  readonly clock: FakeClock = new FakeClock();
  readonly eth0: Link;
  /** CLOCK_BOOTTIME when the other clock stands at 0. */
  readonly bootedNs = 5_000_000_000_000n;

  /** How long peers count without the agent. */
  trust: PeerTrust | undefined;

  constructor() {
    this.bpf.answerTestRuns(passPacket);
    this.rtnetlink.onDelete = (index) => this.bpf.removeInterface(index);
    this.ethtool.plugIn("lo", "loopback");
    this.eth0 = this.addUnderlay("eth0", "192.0.2.1/24");
  }

  get parts(): EbpfDataPathParts {
    const { rtnetlink, ethtool, bpf, clock } = this;
    const bootTimeNs = () =>
      this.bootedNs + BigInt(this.clock.monotonic()) * 1_000_000n;
    const trust = this.trust && { trust: this.trust };
    return { rtnetlink, ethtool, bpf, clock, bootTimeNs, ...trust };
  }

  get options(): UdpDataPathOptions {
    return {
      network: network("10.1.0.0/16"),
      subnet: network("10.1.1.0/24"),
      underlay: {
        interfaceName: "eth0",
        interfaceIndex: this.eth0.index,
        address: address("192.0.2.1"),
        publicIp: address("192.0.2.1"),
        mtuBytes: underlayMtu(1_500),
        mac: this.eth0.mac,
      },
      mtuBytes: overlayMtu(1_472),
      port: 8285,
      device: "flannel%d",
      deviceAlias: ALIAS,
      senderCheck: "strict",
      checksInterface: true,
      receive: "auto",
      sourcePort: "auto",
      disabledFeatures: [],
    };
  }

  /** Plugs in a device that is up and has an address. */
  addUnderlay(name: string, addressText: string, kind = ""): Link {
    const link = this.rtnetlink.addLink({ name, up: true, kind });
    this.ethtool.plugIn(name, kind || "e1000e");
    this.rtnetlink.addAddress(link.index, addressText);
    return link;
  }

  start(options: Partial<UdpDataPathOptions> = {}): EbpfDataPath {
    return EbpfDataPath.start(this.parts, { ...this.options, ...options });
  }

  /** The link of that name. Throws when there is none. */
  link(name: string): Link {
    const found = this.rtnetlink.links().find((link) => link.name === name);
    if (found === undefined) throw new Error(`no device ${name}`);
    return found;
  }

  /** What runs where, of all networks: `eth0 ingress loden_rx_1a2b3 tcx`. */
  attached(): string[] {
    return this.rtnetlink.links().flatMap(({ index, name }) => {
      const xdp = this.bpf.xdp(index);
      const programName = this.bpf.programs
        .find(({ id }) => id === xdp?.id)?.spec.name;
      return [
        ...(["ingress", "egress"] as const).flatMap((direction) =>
          this.bpf.attachedPrograms(index, direction)
            .map((program) =>
              `${name} ${direction} ${program.name} ${program.how}`
            )
        ),
        ...(programName === undefined ? [] : [`${name} xdp ${programName}`]),
      ];
    });
  }

  /** Routes of the main table into the overlay device: `10.1.2.0/24 mtu 1400`. */
  overlayRoutes(): string[] {
    const device = this.rtnetlink.links()
      .find(({ name }) => name === "flannel0");
    return this.rtnetlink.routes().filter((route) =>
      route.table === MAIN_TABLE && route.interfaceIndex === device?.index
    ).map(({ destination, mtuBytes }) =>
      formatCidr(destination) +
      (mtuBytes === undefined ? "" : ` mtu ${mtuBytes}`)
    );
  }

  /** The map in use: of the program at the overlay device. */
  peersInUse(): Record<string, PeerEntry> {
    const [program] = this.bpf.attachedPrograms(
      this.link("flannel0").index,
      "egress",
    );
    using opened = this.bpf.openProgram(program!.id);
    for (const id of opened!.mapIds) {
      using map = this.bpf.openMap(id)!;
      if (map.name === MAPS.loden_peers.name) return peersIn(map);
    }
    throw new Error("the program has no peers");
  }
}
