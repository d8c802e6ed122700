/**
 * Decides which leases are peers, and what changed. No I/O; time is an
 * argument.
 *
 * A lease is a peer unless it is ours, overlaps our subnet, has our own
 * PublicIP or another backend type, has a subnet outside the overlay, or a
 * PublicIP inside it. A program that may write leases must not be able to draw
 * packets of other networks into this one or to make packets loop in it. Of
 * overlapping leases of different hosts, the one whose key was created first is
 * a peer.
 *
 * A peer whose key disappears is kept as stale for a grace period: a wiped
 * etcd, or a key that its owner is about to restore, must not lose a packet.
 * The grace period ends at once if another lease claims the peer's subnet or
 * address.
 *
 * @module
 */

import {
  type Cidr,
  contains,
  equalCidr,
  formatCidr,
  isWithin,
  overlaps,
} from "../../net/cidr.ts";
import { formatIpv4, type Ipv4 } from "../../net/ipv4.ts";
import type { Peer, PeerDiff } from "../../net/peer.ts";
import { ClaimIndex } from "./claim_index.ts";
import { refuseOverlaps } from "./overlapping_leases.ts";
import type { Lease } from "../lease.ts";
import { leaseName } from "../lease_codec.ts";
import type { StoredPeer } from "../saved/state_store.ts";

/** This host's own identity. */
export interface PeerSelf {
  /** The whole overlay. */
  readonly network: Cidr;
  readonly subnet: Cidr;
  readonly publicIp: Ipv4;
  readonly backendType: string;
  /** Backends by which this host serves peers that have not changed yet. */
  readonly formerBackendTypes?: readonly string[];
  readonly hostId?: string;
}

/** A lease to report to the operator. */
export interface PeerNotice {
  readonly code:
    | "overlaps-us"
    | "our-address"
    | "our-host-id"
    | "outside-network"
    | "address-in-overlay"
    | "other-backend"
    | "overlap";
  /** The key below `<prefix>/subnets/`. */
  readonly name: string;
  readonly reason: string;
}

interface Entry {
  readonly name: string;
  /** Stale ones have `stale` set. */
  readonly peer: Peer;
  readonly hostId?: string | undefined;
  /** Why the lease is no peer. */
  readonly notice?: PeerNotice | undefined;
  /** Monotonic milliseconds at which the key disappeared. */
  readonly vanishedAtMs?: number;
  /** The revision at which the key was created; absent in the saved state. */
  readonly created?: bigint;
}

/** The leases of the other hosts and the peers that follow from them. */
export class PeerSet {
  #self: PeerSelf;
  readonly #graceMs: number;
  readonly #entries = new Map<string, Entry>();
  readonly #stale = new Set<string>();
  /** Claims of the entries that are not stale, and of the stale ones. */
  readonly #claims = new ClaimIndex();
  readonly #staleClaims = new ClaimIndex();
  /** Names of dual-stack keys, by the subnet's plain name. */
  readonly #aliases = new Map<string, Set<string>>();
  /** As last reported, by the subnet's name. */
  readonly #told = new Map<string, Peer>();
  readonly #notices = new Map<string, PeerNotice>();
  /** Leases that overlap an older one of another host, by name. */
  #refused: ReadonlyMap<string, PeerNotice> = new Map();

  constructor(self: PeerSelf, graceMs: number) {
    this.#self = self;
    this.#graceMs = graceMs;
  }

  /** As last reported. */
  get peers(): readonly Peer[] {
    return [...this.#told.values()];
  }

  /** Whether {@linkcode expire} may have something to do. */
  get hasStale(): boolean {
    return this.#stale.size > 0;
  }

  /** Reports, each as long as it applies. */
  get notices(): readonly PeerNotice[] {
    return [...this.#notices.values(), ...this.#refused.values()];
  }

  /** The peers of an earlier run; `nowMs` and `wallMs` are the same moment. */
  restore(
    stored: readonly StoredPeer[],
    nowMs: number,
    wallMs: number,
  ): PeerDiff {
    const touched: Cidr[] = [];
    for (const { vanishedAtMs, confirmedAtMs: _, ...peer } of stored) {
      const name = leaseName(peer.subnet);
      if (this.#judge(name, peer, undefined) !== undefined) continue;
      // A wall clock that was set back must not extend the grace period.
      const vanished = peer.stale
        ? {
          vanishedAtMs: nowMs - Math.max(0, wallMs - (vanishedAtMs ?? wallMs)),
        }
        : {};
      this.#set({ name, peer, ...vanished });
      touched.push(peer.subnet);
    }
    return this.#tell(touched);
  }

  /**
   * Whether a peer would be lost because its new lease names a backend that does
   * not run on this host.
   */
  losesByBackend({ attributes, name, subnet }: Lease): boolean {
    const told = this.#told.get(leaseName(subnet));
    return told !== undefined && this.#entries.has(name) &&
      told.publicIp === attributes.publicIp &&
      !this.#serves(attributes.backendType);
  }

  /** What the next run should know. */
  stored(nowMs: number, wallMs: number): StoredPeer[] {
    const stored: StoredPeer[] = [];
    for (const { peer, notice, vanishedAtMs } of this.#entries.values()) {
      if (notice !== undefined) continue;
      stored.push({
        ...peer,
        ...(vanishedAtMs === undefined
          ? {}
          : { vanishedAtMs: wallMs - (nowMs - vanishedAtMs) }),
      });
    }
    return stored;
  }

  /** Updates the given leases; others stay as they are. */
  put(leases: readonly Lease[]): PeerDiff {
    return this.change(leases, [], 0);
  }

  /**
   * Updates leases and removes keys at the same moment; none is in both lists.
   * Others stay as they are.
   */
  change(
    leases: readonly Lease[],
    vanished: readonly string[],
    nowMs: number,
  ): PeerDiff {
    const touched: Cidr[] = [];
    for (const lease of leases) this.#putOne(lease, touched);
    this.#vanishAll(vanished, nowMs, touched);
    return this.#tell(touched);
  }

  /** Replaces all leases: every other lease is gone. */
  replace(leases: readonly Lease[], nowMs: number): PeerDiff {
    return this.change(leases, this.#missing(leases), nowMs);
  }

  /**
   * Changes this host's own identity and judges all known leases again. Its
   * former subnet comes with the next listing.
   */
  moveTo(self: PeerSelf): PeerDiff {
    this.#self = self;
    const touched: Cidr[] = [];
    for (const entry of [...this.#entries.values()]) {
      const { name, peer, hostId } = entry;
      touched.push(peer.subnet);
      const notice = this.#judge(name, peer, hostId);
      const isOurs = equalCidr(peer.subnet, self.subnet);
      if (isOurs || (peer.stale && notice !== undefined)) this.#delete(name);
      else this.#set({ ...entry, notice });
    }
    return this.#tell(touched);
  }

  /**
   * The number of peers that are not stale, and how many of them are missing in
   * `leases`.
   */
  countMissing(leases: readonly Lease[]): { live: number; missing: number } {
    let live = 0;
    for (const { notice, peer } of this.#entries.values()) {
      if (notice === undefined && !peer.stale) live++;
    }
    const missing = this.#missing(leases).filter((name) =>
      this.#entries.get(name)!.notice === undefined
    );
    return { live, missing: missing.length };
  }

  /** Ends the grace period of peers that disappeared long enough ago. */
  expire(nowMs: number): PeerDiff {
    const touched: Cidr[] = [];
    for (const name of this.#stale) {
      const { peer, vanishedAtMs } = this.#entries.get(name)!;
      if (nowMs - vanishedAtMs! < this.#graceMs) continue;
      this.#delete(name);
      touched.push(peer.subnet);
    }
    return this.#tell(touched);
  }

  /** These are not believed any more; a lease that exists brings them back. */
  drop(subnets: readonly Cidr[]): PeerDiff {
    for (const subnet of subnets) {
      const plain = leaseName(subnet);
      for (const name of [plain, ...this.#aliases.get(plain) ?? []]) {
        this.#delete(name);
      }
    }
    return this.#tell(subnets);
  }

  #putOne(lease: Lease, touched: Cidr[]): void {
    const { name, subnet, attributes } = lease;
    if (equalCidr(subnet, this.#self.subnet)) return;
    const { publicIp, backendType, backendData, dataPath } = attributes;
    const peer: Peer = {
      subnet,
      publicIp,
      backendType,
      ...(backendData === undefined ? {} : { backendData }),
      ...(dataPath === undefined ? {} : { dataPath }),
      stale: false,
    };
    const { hostId } = attributes;
    const notice = this.#judge(name, peer, hostId);
    const created = BigInt(lease.createRevision);
    this.#set({ name, peer, hostId, notice, created });
    touched.push(subnet);
    if (!this.#staleClaims.hasClaimOn(peer)) return;
    for (const other of this.#stale) {
      const { peer: vanished } = this.#entries.get(other)!;
      if (!claims(peer, vanished)) continue;
      this.#delete(other);
      touched.push(vanished.subnet);
    }
  }

  /**
   * Together, so that of those that disappear at once none claims what another
   * one had.
   */
  #vanishAll(names: readonly string[], nowMs: number, touched: Cidr[]): void {
    const vanished: Entry[] = [];
    for (const name of names) {
      const entry = this.#entries.get(name);
      if (entry === undefined || entry.peer.stale) continue;
      this.#delete(name);
      vanished.push(entry);
    }
    for (const entry of vanished) {
      const { peer, notice } = entry;
      touched.push(peer.subnet);
      if (notice !== undefined || this.#claims.hasClaimOn(peer)) continue;
      this.#set({
        ...entry,
        peer: { ...peer, stale: true },
        vanishedAtMs: nowMs,
      });
    }
  }

  /** Why a lease is not a peer; `undefined` if it is one. */
  #judge(
    name: string,
    { subnet, publicIp, backendType }: Peer,
    hostId: string | undefined,
  ): PeerNotice | undefined {
    const self = this.#self;
    if (overlaps(subnet, self.subnet)) {
      return {
        code: "overlaps-us",
        name,
        reason: `it overlaps this host's subnet ${formatCidr(self.subnet)}`,
      };
    }
    if (hostId !== undefined && hostId === self.hostId) {
      return {
        code: "our-host-id",
        name,
        reason: "its host id is this host's",
      };
    }
    if (publicIp === self.publicIp) {
      return {
        code: "our-address",
        name,
        reason: `its PublicIP ${formatIpv4(publicIp)} is this host's own`,
      };
    }
    if (!isWithin(subnet, self.network)) {
      return {
        code: "outside-network",
        name,
        reason: `it lies outside the network ${formatCidr(self.network)}`,
      };
    }
    // Its packets would be encapsulated again and again.
    if (contains(self.network, publicIp)) {
      return {
        code: "address-in-overlay",
        name,
        reason: `its PublicIP ${
          formatIpv4(publicIp)
        } is an address of the overlay ${formatCidr(self.network)}`,
      };
    }
    if (!this.#serves(backendType)) {
      return {
        code: "other-backend",
        name,
        reason:
          `its backend type is ${backendType}, this host's is ${self.backendType}`,
      };
    }
    return undefined;
  }

  #serves(backendType: string): boolean {
    const self = this.#self;
    return backendType === self.backendType ||
      (self.formerBackendTypes?.includes(backendType) ?? false);
  }

  /** Names of the entries, stale ones aside, that are not in `leases`. */
  #missing(leases: readonly Lease[]): string[] {
    const present = new Set(leases.map(({ name }) => name));
    return [...this.#entries.values()]
      .filter(({ name, peer }) => !peer.stale && !present.has(name))
      .map(({ name }) => name);
  }

  #set(entry: Entry): void {
    const { name, peer, notice } = entry;
    const before = this.#entries.get(name);
    if (before !== undefined) this.#claimsOf(before).delete(before.peer);
    this.#claimsOf(entry).add(peer);
    this.#entries.set(name, entry);
    if (notice === undefined) this.#notices.delete(name);
    else this.#notices.set(name, notice);
    if (peer.stale) this.#stale.add(name);
    else this.#stale.delete(name);
    const plain = leaseName(peer.subnet);
    if (name === plain) return;
    const aliases = this.#aliases.get(plain) ?? new Set();
    this.#aliases.set(plain, aliases.add(name));
  }

  #claimsOf({ peer }: Entry): ClaimIndex {
    return peer.stale ? this.#staleClaims : this.#claims;
  }

  #delete(name: string): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    this.#claimsOf(entry).delete(entry.peer);
    this.#entries.delete(name);
    this.#notices.delete(name);
    this.#stale.delete(name);
    this.#aliases.get(leaseName(entry.peer.subnet))?.delete(name);
  }

  /** The difference from what was reported, for the subnets that were touched. */
  #tell(touched: readonly Cidr[]): PeerDiff {
    const subnets = [...touched, ...this.#judgeOverlaps(touched)];
    const added: Peer[] = [];
    const changed: Peer[] = [];
    const removed: Peer[] = [];
    for (const name of new Set(subnets.map(leaseName))) {
      const before = this.#told.get(name);
      const now = this.#peerOf(name);
      if (now === undefined) {
        if (before !== undefined) removed.push(before);
        this.#told.delete(name);
      } else if (before === undefined || !isSamePeer(before, now)) {
        (before === undefined ? added : changed).push(now);
        this.#told.set(name, now);
      }
    }
    return { added, changed, removed };
  }

  /** Of several keys for one subnet, a live one counts, the plain one first. */
  #peerOf(subnetName: string): Peer | undefined {
    const names = [subnetName, ...this.#aliases.get(subnetName) ?? []];
    const peers = names.flatMap((name) => {
      const entry = this.#entries.get(name);
      const isPeer = entry !== undefined && entry.notice === undefined &&
        !this.#refused.has(name);
      return isPeer ? [entry.peer] : [];
    });
    return peers.find(({ stale }) => !stale) ?? peers[0];
  }

  /**
   * Finds again which leases are refused, if that can have changed. Returns the
   * subnets of those that are now, or are no longer.
   */
  #judgeOverlaps(touched: readonly Cidr[]): Cidr[] {
    const before = this.#refused;
    const mayOverlap = before.size > 0 ||
      touched.some((subnet) => this.#claims.hasOther(subnet));
    if (!mayOverlap) return [];
    const candidates = [...this.#entries.values()].flatMap(
      ({ name, peer, notice, created = 0n }) =>
        notice !== undefined || peer.stale
          ? []
          : [{ name, subnet: peer.subnet, publicIp: peer.publicIp, created }],
    );
    const refused = refuseOverlaps(candidates);
    this.#refused = new Map(
      [...refused].map(([name, other]) => [name, {
        code: "overlap",
        name,
        reason: `it overlaps the older lease ${other.name} of ${
          formatIpv4(other.publicIp)
        }`,
      }]),
    );
    const names = new Set(before.keys())
      .symmetricDifference(new Set(refused.keys()));
    return [...names].flatMap((name) =>
      this.#entries.get(name)?.peer.subnet ?? []
    );
  }
}

/** Whether a live lease shows that the missing one will not come back. */
function claims(living: Peer, vanished: Peer): boolean {
  return living.publicIp === vanished.publicIp ||
    overlaps(living.subnet, vanished.subnet);
}

function isSamePeer(a: Peer, b: Peer): boolean {
  return a.publicIp === b.publicIp && a.backendType === b.backendType &&
    a.dataPath === b.dataPath && a.stale === b.stale &&
    JSON.stringify(a.backendData) === JSON.stringify(b.backendData);
}
