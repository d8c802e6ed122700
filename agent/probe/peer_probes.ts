/**
 * The probes of all peers: whose turn it is.
 *
 * The cost is bounded whatever the number of peers: {@linkcode PROBES_PER_TICK}
 * packets a second. There are four rows. The first is of peers about which
 * something has to be found out: one that has just been silent, or whose path has
 * become narrow. Then come those that are unreachable, then those with traffic.
 * All of these leave {@linkcode ROTATION_SHARE} packets to the last row, the rest,
 * which take turns.
 *
 * @module
 */

import { formatCidr } from "../../net/cidr.ts";
import type { Ipv4 } from "../../net/ipv4.ts";
import type { Peer, PeerDiff } from "../../net/peer.ts";
import { type RandomSource, shuffled } from "../../linux/random.ts";
import type { Clock } from "../../linux/clock.ts";
import { PeerProbe, type ProbeConditions } from "./peer_probe.ts";
import { peerProbeAddress } from "./probe_address.ts";
import { type RateLimit, TokenBucket } from "./token_bucket.ts";

/** Packets that the prober sends in a second, at most. */
export const PROBES_PER_TICK = 5;
/** Of these, for the last row, if one of it is due. */
export const ROTATION_SHARE = 2;
const ROWS = 4;
const FIRST_ROW = 0;

/**
 * What a peer may ask this host: all hosts together ask a host less. A few peers
 * must not use up what all have (`responder.ts`).
 */
const PEER_ECHO_LIMIT: RateLimit = { perSecond: 10, burst: 20 };
const PEER_QUESTION_LIMIT: RateLimit = { perSecond: 0.5, burst: 10 };

/** A peer and its probes. */
export interface ProbedPeer {
  /** As its lease says now. */
  peer: Peer;
  readonly key: string;
  readonly address: Ipv4;
  readonly probe: PeerProbe;
  /** Whether packets flow to it or from it, beside probes. */
  hasTraffic: boolean;
  readonly echoLimit: TokenBucket;
  readonly questionLimit: TokenBucket;
}

/** See the module. */
export class PeerProbes {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #random: Pick<RandomSource, "below">;
  readonly #byKey = new Map<string, ProbedPeer>();
  readonly #byAddress = new Map<Ipv4, ProbedPeer>();
  /** Each in the order in which its peers were probed last. */
  readonly #rows: readonly Set<string>[] = Array.from(
    { length: ROWS },
    () => new Set<string>(),
  );
  #ownType = "udp";

  constructor(
    clock: Pick<Clock, "monotonic">,
    random: Pick<RandomSource, "below">,
  ) {
    this.#clock = clock;
    this.#random = random;
  }

  get size(): number {
    return this.#byKey.size;
  }

  values(): Iterable<ProbedPeer> {
    return this.#byKey.values();
  }

  get(key: string): ProbedPeer | undefined {
    return this.#byKey.get(key);
  }

  /** The peer whose host has this address in the overlay. */
  at(address: Ipv4): ProbedPeer | undefined {
    return this.#byAddress.get(address);
  }

  /** Whether it still is what it was when it was handed out. */
  has(probed: ProbedPeer): boolean {
    return this.#byKey.get(probed.key) === probed;
  }

  /** A subnet that moves to another host begins again. */
  apply({ added, changed, removed }: PeerDiff): void {
    for (const { subnet } of removed) this.#remove(formatCidr(subnet));
    // Otherwise many hosts that start together would ask the same one first.
    for (const peer of shuffled(added, this.#random)) this.#put(peer);
    for (const peer of changed) this.#put(peer);
  }

  /** The backend of this host, on which the peers' addresses may depend. */
  setOwnType(ownType: string): void {
    if (ownType === this.#ownType) return;
    this.#ownType = ownType;
    const peers = [...this.#byKey.values()].map(({ peer }) => peer);
    for (const peer of peers) this.#put(peer);
  }

  /** Those whose turn it is now, as many as the packets of a second allow. */
  takeTurns(
    nowMs: number,
    conditions: ProbeConditions,
    begin: (probed: ProbedPeer) => void,
  ): void {
    let left = PROBES_PER_TICK;
    const last = this.#rows[ROWS - 1]!;
    const [next] = firstDue(last, nowMs, this.#byKey, 1);
    const share = next === undefined ? 0 : ROTATION_SHARE;
    for (const row of this.#rows) {
      const reserved = row === last ? 0 : share;
      for (const key of [...firstDue(row, nowMs, this.#byKey, left)]) {
        const probed = this.#byKey.get(key)!;
        const cost = probed.probe.cost(conditions);
        if (cost > left - reserved) break;
        left -= cost;
        // To the end of the row.
        row.delete(key);
        row.add(key);
        begin(probed);
      }
    }
  }

  /** Gives a peer the next turn. */
  hasten(probed: ProbedPeer): void {
    if (!this.has(probed)) return;
    const { probe } = probed;
    probe.dueMs = Math.min(probe.dueMs, this.#clock.monotonic());
    this.#moveTo(FIRST_ROW, probed.key);
  }

  /** Puts a peer whose turn has ended where it belongs. */
  settle(probed: ProbedPeer): void {
    if (this.has(probed)) this.#moveTo(rowOf(probed), probed.key);
  }

  /** Says which peers have traffic now. */
  setTraffic(keys: ReadonlySet<string>): void {
    for (const probed of this.#byKey.values()) {
      const hasTraffic = keys.has(probed.key);
      if (hasTraffic === probed.hasTraffic) continue;
      probed.hasTraffic = hasTraffic;
      this.settle(probed);
    }
  }

  #moveTo(row: number, key: string): void {
    if (this.#rows[row]!.has(key)) return;
    for (const each of this.#rows) each.delete(key);
    this.#rows[row]!.add(key);
  }

  #put(peer: Peer): void {
    const key = formatCidr(peer.subnet);
    const address = peerProbeAddress(peer, this.#ownType);
    const before = this.#byKey.get(key);
    if (
      before?.peer.publicIp === peer.publicIp && before.address === address
    ) {
      before.peer = peer;
      return;
    }
    this.#remove(key);
    const probed: ProbedPeer = {
      peer,
      key,
      address,
      probe: new PeerProbe(this.#clock.monotonic()),
      hasTraffic: false,
      echoLimit: new TokenBucket(this.#clock, PEER_ECHO_LIMIT),
      questionLimit: new TokenBucket(this.#clock, PEER_QUESTION_LIMIT),
    };
    this.#byKey.set(key, probed);
    this.#byAddress.set(address, probed);
    this.settle(probed);
  }

  #remove(key: string): void {
    const probed = this.#byKey.get(key);
    if (probed === undefined) return;
    this.#byKey.delete(key);
    if (this.#byAddress.get(probed.address) === probed) {
      this.#byAddress.delete(probed.address);
    }
    for (const row of this.#rows) row.delete(key);
  }
}

function rowOf({ hasTraffic, probe }: ProbedPeer): number {
  switch (probe.purpose) {
    case "find out":
      return FIRST_ROW;
    case "look again":
      return 1;
    case "confirm":
      return hasTraffic ? 2 : ROWS - 1;
  }
}

/**
 * The first `most` keys that are due. In a row of many peers, these are the first
 * ones, because they were probed longest ago.
 */
function* firstDue(
  keys: Set<string>,
  nowMs: number,
  peers: ReadonlyMap<string, ProbedPeer>,
  most: number,
): Generator<string> {
  let found = 0;
  for (const key of keys) {
    if (found === most) return;
    if (peers.get(key)!.probe.dueMs > nowMs) continue;
    found++;
    yield key;
  }
}
