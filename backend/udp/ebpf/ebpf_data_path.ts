/**
 * The kernel data path: programs on the overlay device and on the underlay,
 * maintained while the host around them changes.
 *
 * One function, `mend`, finds, compares and restores everything: at the start,
 * after a change of the network, and every few seconds. What is right is not
 * touched, so an agent that starts with running programs loses no packet.
 *
 * @module
 */

import type { Bpf, BpfProgram } from "../../../linux/bpf/bpf.ts";
import type { Clock } from "../../../linux/clock.ts";
import type { Ethtool } from "../../../linux/ethtool.ts";
import type {
  Link,
  Route,
  Rtnetlink,
} from "../../../linux/netlink/rtnetlink.ts";
import type { EchoAnswer } from "../../../linux/echo_request.ts";
import type { Ipv4 } from "../../../net/ipv4.ts";
import {
  applyPeerDiff,
  type DataPathName,
  type Peer,
  type PeerDiff,
  type PeerTraffic,
} from "../../../net/peer.ts";
import { formatCidr } from "../../../net/cidr.ts";
import type { PeerTrust } from "../../../net/peer_trust.ts";
import type { UdpDataPath, UdpDataPathOptions } from "../data_path.ts";
import { wantedFeatures } from "../features.ts";
import { bottomDevices } from "../../bottom_devices.ts";
import {
  configureOverlayDevice,
  isOverlayDeviceRight,
  type OverlayDevice,
} from "../../overlay_device.ts";
import { type AdoptedMaps, adoptMaps } from "./adopt.ts";
import { ensureAttached } from "./attachments.ts";
import {
  PROGRAM_COUNTERS,
  readProgramCounters,
  readReceived,
} from "./counters.ts";
import { hasDecapUdp } from "./decap_udp.ts";
import { NoEthernetError } from "./errors.ts";
import type { CpuTraffic } from "./flow_spreading.ts";
import { HostPrograms } from "./host_programs.ts";
import { canRecordDrops, KernelDrops } from "./kernel_drops.ts";
import type { Maps } from "./maps.ts";
import {
  ensureOffloads,
  findOverlayPair,
  makeOverlayPair,
  type OverlayPair,
} from "./overlay_pair.ts";
import { type Ownership, ownershipOf } from "./ownership.ts";
import { PathMtuClaims } from "./path_mtu_claims.ts";
import { PeerRoutes } from "./peer_routes.ts";
import {
  type DeadlineOf,
  type KernelPeer,
  KernelPeerTable,
} from "./peer_table.ts";
import type { HostConstants } from "./programs/constants.ts";
import { losesUdp } from "./receive_mode.ts";
import { planProgramRemoval, removeFailedStart } from "./remove.ts";
import { passTestPackets } from "./self_test.ts";
import {
  chooseSourcePort,
  HASHED_PORTS,
  type SourcePortDecision,
} from "./source_port_choice.ts";
import { describeDevice } from "./underlays.ts";

/** What the data path needs. */
export interface EbpfDataPathParts {
  readonly rtnetlink: Rtnetlink;
  readonly ethtool: Ethtool;
  readonly bpf: Bpf;
  readonly clock: Clock;
  /** Nanoseconds of CLOCK_BOOTTIME. */
  readonly bootTimeNs: () => bigint;
  /**
   * Until when peers are valid without the agent; absent:
   * {@linkcode DEFAULT_TRUST}.
   */
  readonly trust?: PeerTrust;
  /** Whether packets of a size reach a peer; absent: that cannot be told. */
  readonly probePath?: (address: Ipv4, bytes: number) => Promise<EchoAnswer>;
}

/** A lease of flannel's 24 hours and a grace of ten minutes from now. */
const DEFAULT_TRUST: PeerTrust = {
  remainingMs: () => (24 * 60 + 10) * 60_000,
};
/**
 * Delay before the next check of the routes to peers or of all devices, as a multiple of its
 * duration: a thousandth of a processor for any number of peers. Changes are
 * reported, except for path MTUs that the kernel forgets.
 */
const REST_PER_WORK = 1_000;
/** How often the deadlines are extended. */
const DEADLINE_REFRESH_MS = 600_000;
const COUNTER_KEY = new Uint8Array(4);

/** By subnet. A map stays as long as its peers change one by one. */
type KernelPeers = Map<string, KernelPeer>;

/** See the module. */
export class EbpfDataPath implements UdpDataPath {
  readonly name: DataPathName = "ebpf";
  readonly outlivesAgent = true;
  readonly failed: Promise<void>;
  /** Whether decapsulated super-packets are no longer taken for a tunnel's. */
  readonly decapUdp: boolean;
  /** Whether programs record what they drop. */
  readonly #recordsDrops: boolean;
  readonly drops: KernelDrops | undefined;
  readonly #parts: EbpfDataPathParts;
  readonly #options: UdpDataPathOptions;
  readonly #owner: Ownership;
  readonly #sourcePort: SourcePortDecision;
  readonly #stopped = Promise.withResolvers<void>();
  readonly #adopted!: AdoptedMaps;
  /** Created for each overlay device. */
  #table: KernelPeerTable;
  #pair: OverlayPair;
  #programs: HostPrograms | undefined;
  /**
   * By subnet. `undefined` until they are known; until then those in the maps
   * are valid.
   */
  #peers: Map<string, Peer> | undefined;
  readonly #routes: PeerRoutes;
  /** Whether the table has read the routes since their last change. */
  #routesKnown = true;
  /** The routes to peers at the last check; `undefined` if a check is due. */
  #found: { peers: KernelPeers; untilMs: number } | undefined;
  /** The peers in the table; if they are the same, nothing is missing. */
  #settled: { peers: KernelPeers; deadlineOf: DeadlineOf } | undefined;
  readonly #claims: PathMtuClaims;
  /** As the last look has seen them. */
  #links: readonly Link[] = [];
  #isClosed = false;
  /** Until when devices that are no underlays are not checked again. */
  #elsewhereUntilMs = -Infinity;
  /** Whether everything was right at least once. */
  #begun = false;
  #deadlineOf: DeadlineOf = () => 0n;
  #deadlineSetAtMs = -Infinity;

  /**
   * Takes over what runs and starts the rest. Throws the kernel's error after
   * removing what it created.
   */
  static start(
    parts: EbpfDataPathParts,
    options: UdpDataPathOptions,
  ): EbpfDataPath {
    const owner = ownershipOf(options.deviceAlias);
    const found = findOverlayPair(parts.rtnetlink.links(), owner.alias);
    using opened = new DisposableStack();
    try {
      const path = new EbpfDataPath(parts, options, owner, found, opened);
      opened.move();
      return path;
    } catch (error) {
      if (found === undefined) removeFailedStart(parts, options);
      throw error;
    }
  }

  private constructor(
    parts: EbpfDataPathParts,
    options: UdpDataPathOptions,
    owner: Ownership,
    found: OverlayPair | undefined,
    opened: DisposableStack,
  ) {
    opened.defer(() => this.#close());
    this.#parts = parts;
    this.#options = options;
    this.#owner = owner;
    this.#sourcePort = chooseSourcePort(options.sourcePort, options.underlay);
    this.#claims = new PathMtuClaims({
      clock: parts.clock,
      probe: parts.probePath ?? (() => Promise.resolve("none")),
      onChange: (address) => {
        if (!this.#isClosed) this.#lookAtPathMtu(address);
      },
    });
    this.#routes = new PeerRoutes(
      parts.rtnetlink,
      options,
      (address, mtuBytes) => this.#claims.believed(address, mtuBytes),
    );
    this.failed = this.#stopped.promise;
    const wanted = wantedFeatures(options.disabledFeatures);
    this.decapUdp = wanted.decapUdp && hasDecapUdp(parts.bpf);
    this.#recordsDrops = wanted.dropEvents && canRecordDrops(parts.bpf);
    this.#pair = found ?? this.#makePair();
    this.#adopted = adoptMaps(
      parts.bpf,
      this.#pair.hop.index,
      this.#owner.suffix,
      { recordsDrops: this.#recordsDrops },
    );
    this.drops = this.#makeDrops();
    this.#table = this.#makeTable();
    this.mend();
  }

  get deviceName(): string {
    return this.#pair.device.name;
  }

  /** The present one: it is created again if another program deletes it. */
  get device(): { readonly name: string; readonly index: number } {
    return this.#pair.device;
  }

  /** The program that judges packets from the underlay. */
  get ingress(): BpfProgram | undefined {
    return this.#programs?.underlays.ingress;
  }

  /** Whether outer packets leave from one port per flow. */
  get sourcePort(): "hash" | "fixed" {
    return this.#sourcePort.sourcePort;
  }

  /** Whether packets are sent to an address. */
  isPeer(address: Ipv4): boolean {
    return this.#routes.has(address);
  }

  /** Of a device from which packets are received; `undefined` of others. */
  underlayMac(interfaceIndex: number): Uint8Array | undefined {
    return this.#programs?.underlays.mac(interfaceIndex);
  }

  /** Whether packets are received from a device. */
  isUnderlay(interfaceIndex: number): boolean {
    return this.#programs?.underlays.has(interfaceIndex) ?? false;
  }

  /** The hop: packets sent through it enter the overlay. */
  get hop(): { interfaceIndex: number; mac: Uint8Array } {
    return {
      interfaceIndex: this.#pair.hop.index,
      mac: this.#pair.device.mac,
    };
  }

  get peerCount(): number {
    return this.#peers?.size ?? 0;
  }

  changePeers(diff: PeerDiff): Promise<void> {
    this.#peers ??= new Map();
    applyPeerDiff(this.#peers, diff);
    if (!this.#changeSome(diff)) this.mend();
    return Promise.resolve();
  }

  /**
   * Applies only the differences; returns whether that is enough: if everything
   * else is known to be right and no program is needed on another device.
   */
  #changeSome(
    { added, changed, removed }: PeerDiff,
    links: readonly Link[] = this.#parts.rtnetlink.links(),
  ): boolean {
    const [found, settled] = [this.#found, this.#settled];
    if (found === undefined || settled?.peers !== found.peers) return false;
    const { index } = this.#pair.device;
    const touched = [...added, ...changed];
    const put = this.#routes.findMore(touched, links, index);
    if (!put.flatMap(interfacesOf).every((each) => this.isUnderlay(each))) {
      return false;
    }
    const usable = new Set(put.map(({ subnet }) => formatCidr(subnet)));
    const gone = [...touched, ...removed].map(({ subnet }) => subnet)
      .filter((subnet) => !usable.has(formatCidr(subnet)));
    try {
      this.#table.change({ put, removed: gone }, settled.deadlineOf);
    } catch {
      // A full check meets the kernel's refusal again, and repairs or throws
      // it.
      return false;
    }
    for (const subnet of gone) found.peers.delete(formatCidr(subnet));
    for (const peer of put) found.peers.set(formatCidr(peer.subnet), peer);
    return true;
  }

  /**
   * The path MTU of a peer is smaller than known; sets its route. Returns
   * whether that is new.
   */
  onPathMtu(address: Ipv4, port: number): boolean {
    // Anyone can send such a message: what it costs is bounded.
    return port === this.#options.port && this.isPeer(address) &&
      this.#claims.mayLook(address) && this.#lookAtPathMtu(address);
  }

  #lookAtPathMtu(address: Ipv4): boolean {
    const before = this.#routes.mtuBytes(address);
    const changed = [...this.#peers?.values() ?? []]
      .filter(({ publicIp }) => publicIp === address);
    // Devices as they were a moment ago: to list them takes long. If that does
    // not do, the next look does.
    this.#changeSome({ added: [], changed, removed: [] }, this.#links);
    return this.#routes.mtuBytes(address) !== before;
  }

  /** Devices, addresses or routes have changed, or may have. */
  forgetRoutes(): void {
    this.doubtOwnRoutes();
    this.#found = undefined;
  }

  /** The routes to the overlay may have changed. */
  doubtOwnRoutes(): void {
    this.#routesKnown = false;
  }

  /** Restores what is wrong and returns what that was. */
  mend(): string[] {
    this.forgetRoutes();
    return this.look();
  }

  /**
   * The same, without routes and peer routes: with thousands a check takes
   * long, and {@linkcode EbpfDataPath.forgetRoutes} reports changes.
   */
  look(): string[] {
    // Programs with maps of another kind keep running until ours know the
    // peers.
    const waits = this.#adopted.running === "elsewhere" && !this.#begun;
    if (waits && this.#peers === undefined) return [];
    const mended: string[] = [];
    const { bpf, rtnetlink } = this.#parts;
    let routes = this.#routesKnown ? undefined : rtnetlink.routes();
    if (this.#ensureDevice(routes)) {
      mended.push("device");
      routes = rtnetlink.routes();
    }
    const links = this.#links = rtnetlink.links();
    if (routes !== undefined) {
      this.#table.readRoutes(routes);
      this.#routes.readRoutes(routes);
    }
    this.#routesKnown = true;
    const peers = this.#peers && this.#findWays(this.#peers, links);
    const devices = this.#underlayDevices(links, peers);
    for (const { name, kind, mac } of devices) {
      if (mac.length === 0) throw new NoEthernetError(name, kind);
    }
    const programs = this.#ensurePrograms(devices);
    // A running program must know the peers, and a packet that is routed here
    // must meet a program. Receiving programs come first, so that no packet is
    // sent whose answer would be lost.
    const deadlineOf = this.#deadlines();
    const isSettled = peers === this.#settled?.peers &&
      deadlineOf === this.#settled?.deadlineOf;
    const unsettled = peers === undefined || isSettled
      ? undefined
      : [...peers.values()];
    if (unsettled !== undefined) this.#table.put(unsettled, deadlineOf);
    mended.push(...programs.underlays.set(devices));
    // While the peers are unknown, so are their underlays. The programs of an
    // earlier agent receive there.
    if (peers !== undefined) {
      mended.push(...this.#detachElsewhere(links, devices));
    }
    const { device, hop } = this.#pair;
    if (ensureAttached(bpf, hop.index, "ingress", programs.hop).changed) {
      mended.push(`program at ${hop.name}`);
    }
    if (ensureAttached(bpf, device.index, "egress", programs.egress).changed) {
      mended.push(`program at ${device.name}`);
    }
    if (unsettled !== undefined) {
      if (this.#table.settle(unsettled)) mended.push("routes");
      this.#settled = { peers: peers!, deadlineOf };
    }
    if (this.#begun) return mended;
    this.#begun = true;
    return [];
  }

  /** The former ones, if they are not too old. */
  #findWays(
    peers: ReadonlyMap<string, Peer>,
    links: readonly Link[],
  ): KernelPeers {
    const { clock } = this.#parts;
    const startedAtMs = clock.monotonic();
    if (this.#found !== undefined && startedAtMs < this.#found.untilMs) {
      return this.#found.peers;
    }
    const { index } = this.#pair.device;
    const found = new Map(
      this.#routes.find([...peers.values()], links, index)
        .map((peer) => [formatCidr(peer.subnet), peer]),
    );
    const nowMs = clock.monotonic();
    const restMs = (nowMs - startedAtMs) * REST_PER_WORK;
    this.#found = { peers: found, untilMs: nowMs + restMs };
    return found;
  }

  #findPair(links: readonly Link[]): OverlayPair | undefined {
    return findOverlayPair(links, this.#owner.alias);
  }

  /**
   * A device of the user-space data path has the name, and its packets go
   * nowhere.
   */
  #makePair(): OverlayPair {
    const { rtnetlink } = this.#parts;
    for (const { alias, index, kind } of rtnetlink.links()) {
      // A device of another backend still serves peers during a change of backend.
      if (alias !== this.#owner.alias) continue;
      if (kind === "tun" || kind === "veth") rtnetlink.deleteLink(index);
    }
    return makeOverlayPair(
      rtnetlink,
      this.#owner,
      this.#options.device,
      this.#options.mtuBytes,
    );
  }

  #makeDrops(): KernelDrops | undefined {
    const { bootTimeNs, bpf, clock } = this.#parts;
    const { loden_drops, loden_listener } = this.#adopted.maps;
    if (loden_drops === undefined || loden_listener === undefined) {
      return undefined;
    }
    return new KernelDrops({
      bpf,
      maps: { loden_drops, loden_listener },
      bootTimeNs,
      now: () => clock.now(),
      deviceName: (interfaceIndex) =>
        this.#links.find(({ index }) => index === interfaceIndex)?.name,
      port: this.#options.port,
    });
  }

  #makeTable(): KernelPeerTable {
    return new KernelPeerTable(
      this.#adopted.maps,
      this.#parts.rtnetlink,
      this.#pair.device.index,
    );
  }

  /** @param routes All routes; `undefined` if they are known to be right. */
  #ensureDevice(routes: readonly Route[] | undefined): boolean {
    const { rtnetlink, ethtool } = this.#parts;
    let changed = false;
    const pair = this.#findPair(rtnetlink.links());
    if (pair === undefined) {
      this.#pair = this.#makePair();
      this.#table = this.#makeTable();
      this.#settled = undefined;
      changed = true;
    } else {
      this.#pair = pair;
    }
    if (ensureOffloads(ethtool, this.#pair)) changed = true;
    const { device, hop } = this.#pair;
    if (!hop.up) {
      rtnetlink.changeLink(hop.index, { up: true });
      changed = true;
    }
    const { network, subnet, mtuBytes } = this.#options;
    const wanted: OverlayDevice = {
      name: device.name,
      alias: this.#owner.alias,
      network,
      subnet,
      mtuBytes,
      networkRoute: false,
    };
    if (isOverlayDeviceRight(rtnetlink, wanted, routes)) return changed;
    configureOverlayDevice(rtnetlink, wanted);
    this.#settled = undefined;
    return true;
  }

  /**
   * The lease's device, even if its address has moved, and the devices to
   * peers.
   */
  #underlayDevices(
    links: readonly Link[],
    peers: KernelPeers | undefined,
  ): Link[] {
    const { underlay } = this.#options;
    const indexes = new Set<number>();
    for (const peer of peers?.values() ?? []) {
      for (const index of interfacesOf(peer)) indexes.add(index);
    }
    indexes.add(this.#leaseDevice(links) ?? underlay.interfaceIndex);
    return links.filter(({ index, loopback }) =>
      indexes.has(index) && !loopback && index !== this.#pair.device.index
    );
  }

  /** A device that was unplugged comes back with another index. */
  #leaseDevice(links: readonly Link[]): number | undefined {
    const { interfaceIndex, address } = this.#options.underlay;
    if (links.some(({ index }) => index === interfaceIndex)) {
      return interfaceIndex;
    }
    return this.#parts.rtnetlink.addresses()
      .find((other) => other.address === address)?.interfaceIndex;
  }

  /** Loads the programs again if their constants have changed. */
  #ensurePrograms(devices: readonly Link[]): HostPrograms {
    const { bpf } = this.#parts;
    const host = this.#hostConstants(devices);
    const before = this.#programs;
    if (before?.isFor(host)) return before;
    const { maps, running } = this.#adopted;
    using made = new DisposableStack();
    const programs = made.use(
      new HostPrograms(this.#parts, host, maps, this.#options.receive),
    );
    if (before === undefined && running === "no") passTestPackets(bpf, host);
    made.move();
    this.#programs = programs;
    // What the former set has attached, this one does not know.
    this.#elsewhereUntilMs = -Infinity;
    before?.[Symbol.dispose]();
    return programs;
  }

  #hostConstants(devices: readonly Link[]): HostConstants {
    const { ethtool } = this.#parts;
    const { subnet, underlay, port } = this.#options;
    const { senderCheck, checksInterface } = this.#options;
    const { device, hop } = this.#pair;
    return {
      suffix: this.#owner.suffix,
      mark: this.#owner.mark,
      subnet,
      underlayAddress: underlay.address,
      port,
      sourcePort: this.#sourcePort.sourcePort,
      senderCheck,
      checksInterface,
      // The present ones: udev may have changed ours.
      device: { interfaceIndex: device.index, mac: device.mac },
      hop: { interfaceIndex: hop.index, mac: hop.mac },
      cutUdp: devices.some((link) =>
        losesUdp(
          describeDevice(ethtool, link),
          bottomDevices(link, this.#links)
            .map((lower) => describeDevice(ethtool, lower)),
          this.decapUdp,
        )
      ),
      decapUdp: this.decapUdp,
      recordsDrops: this.#recordsDrops,
    };
  }

  /**
   * A program on a device that is not an underlay would decapsulate packets
   * unexpectedly. An earlier agent with other underlays, a replaced set of
   * programs, or a person left it.
   */
  #detachElsewhere(
    links: readonly Link[],
    underlays: readonly Link[],
  ): string[] {
    const { bpf, clock } = this.#parts;
    const startedAtMs = clock.monotonic();
    if (startedAtMs < this.#elsewhereUntilMs) return [];
    const others = links.filter(({ index }) =>
      !underlays.some((underlay) => underlay.index === index)
    );
    const removals = planProgramRemoval({
      bpf,
      rtnetlink: { links: () => others },
    }, this.#owner.alias);
    for (const { remove } of removals) remove();
    const nowMs = clock.monotonic();
    this.#elsewhereUntilMs = nowMs + (nowMs - startedAtMs) * REST_PER_WORK;
    return removals.map(({ device }) => `programs at ${device}`);
  }

  /** Of all peers; made again now and then, by when etcd last confirmed each. */
  #deadlines(): DeadlineOf {
    const nowMs = this.#parts.clock.monotonic();
    if (nowMs - this.#deadlineSetAtMs >= DEADLINE_REFRESH_MS) {
      this.#deadlineOf = this.#makeDeadlines();
      this.#deadlineSetAtMs = nowMs;
    }
    return this.#deadlineOf;
  }

  #makeDeadlines(): DeadlineOf {
    const nowNs = this.#parts.bootTimeNs();
    const { trust = DEFAULT_TRUST } = this.#parts;
    const known = new Map<string, bigint>();
    return (subnet) => {
      const key = formatCidr(subnet);
      let deadlineNs = known.get(key);
      if (deadlineNs === undefined) {
        const remainingMs = Math.max(0, Math.floor(trust.remainingMs(subnet)));
        deadlineNs = nowNs + BigInt(remainingMs) * 1_000_000n;
        known.set(key, deadlineNs);
      }
      return deadlineNs;
    };
  }

  counters(): Record<string, number> {
    const value = this.#readCounters();
    return value === undefined
      ? Object.fromEntries(PROGRAM_COUNTERS.map((name) => [name, 0]))
      : readProgramCounters(value);
  }

  /** What each CPU has received from the underlay. */
  received(): readonly CpuTraffic[] {
    const value = this.#readCounters();
    return value === undefined ? [] : readReceived(value);
  }

  #readCounters(): Uint8Array | undefined {
    return this.#adopted.maps.loden_counters.lookup(COUNTER_KEY);
  }

  /** Of the peers that have counters of their own. */
  peerTraffic(): readonly PeerTraffic[] {
    return this.#table.traffic();
  }

  underlayDevices(): readonly string[] {
    return this.#programs?.underlays.names ?? [];
  }

  details(): Record<string, string> {
    const { sourcePort, reason } = this.#sourcePort;
    return {
      ...this.#programs?.underlays.details(),
      "source port": `${
        sourcePort === "fixed" ? this.#options.port : HASHED_PORTS
      }: ${reason}`,
      ...this.#claims.details(),
    };
  }

  /** Closes the process's descriptors; programs, maps and devices stay. */
  stop(): Promise<void> {
    this.#close();
    this.#stopped.resolve();
    return Promise.resolve();
  }

  /** Also after a failed start, when there may be fewer. */
  #close(): void {
    this.#isClosed = true;
    this.drops?.[Symbol.dispose]();
    this.#programs?.[Symbol.dispose]();
    const maps: Partial<Maps> = this.#adopted?.maps ?? {};
    for (const map of Object.values(maps)) map[Symbol.dispose]();
  }
}

/** By which a peer's packets may arrive. */
function interfacesOf(
  { interfaceIndex, otherInterfaces = [] }: KernelPeer,
): number[] {
  return [interfaceIndex, ...otherInterfaces];
}
