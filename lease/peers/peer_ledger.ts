/**
 * When etcd last confirmed each peer, and how long the peer is believed after that.
 *
 * The rules are in docs/lease.md, "How long peers are believed".
 *
 * @module
 */

import type { Clock } from "../../linux/clock.ts";
import { type Cidr, formatCidr } from "../../net/cidr.ts";
import type { PeerTrust } from "../../net/peer_trust.ts";

/** How long things are believed, in seconds. */
export interface TrustTimes {
  /** The lifetime of a lease, `--subnet-lease-ttl`. */
  readonly ttlSeconds: number;
  /** `--peer-grace`. */
  readonly graceSeconds: number;
  /** What a start without etcd believes, `--trust-saved-peers`. */
  readonly savedSeconds: number;
  /** What a running agent believes, `--trust-known-peers`; 0: without limit. */
  readonly knownSeconds: number;
}

/**
 * A running agent keeps its peers in the kernel for this long ahead whatever etcd
 * says: longer than two intervals between updates of the deadlines, so that losing
 * etcd costs no packet, and long enough for a restart.
 */
export const RUNNING_AGENT_MS = 30 * 60_000;

/** One moment on both clocks: neither a suspend nor a clock set back hides an age. */
interface Mark {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** See the module. Subnets are the identity. */
export class PeerLedger implements PeerTrust {
  readonly #clock: Pick<Clock, "now" | "monotonic">;
  readonly #times: TrustTimes;
  /** In etcd as of {@linkcode #inSyncAt}. */
  #listed = new Set<string>();
  #inSyncAt: Mark;
  /** Of peers that are not in etcd as far as is known: vanished, or saved. */
  readonly #apart = new Map<string, Mark>();

  constructor(clock: Pick<Clock, "now" | "monotonic">, times: TrustTimes) {
    this.#clock = clock;
    this.#times = times;
    this.#inSyncAt = this.#mark();
  }

  get times(): TrustTimes {
    return this.#times;
  }

  /** A peer of the saved state. Its time is not after now, whatever the file says. */
  restore(subnet: Cidr, confirmedAtMs: number): void {
    const now = this.#mark();
    const ageMs = Math.max(0, now.wallMs - confirmedAtMs);
    const key = formatCidr(subnet);
    if (this.#listed.has(key)) return;
    this.#apart.set(key, {
      monotonicMs: now.monotonicMs - ageMs,
      wallMs: now.wallMs - ageMs,
    });
  }

  /** A complete listing. What it lacks was confirmed the last time before. */
  list(subnets: Iterable<Cidr>): void {
    const listed = new Set<string>();
    for (const subnet of subnets) listed.add(formatCidr(subnet));
    for (const key of this.#listed) {
      if (!listed.has(key)) this.#apart.set(key, this.#inSyncAt);
    }
    for (const key of listed) this.#apart.delete(key);
    this.#listed = listed;
    this.#inSyncAt = this.#mark();
  }

  /** Changes that the watch reported: it is in sync at this moment. */
  change(put: Iterable<Cidr>, vanished: Iterable<Cidr>): void {
    this.confirm();
    for (const subnet of put) {
      const key = formatCidr(subnet);
      this.#listed.add(key);
      this.#apart.delete(key);
    }
    for (const subnet of vanished) {
      const key = formatCidr(subnet);
      if (this.#listed.delete(key)) this.#apart.set(key, this.#inSyncAt);
    }
  }

  /** The watch is alive and has reported no other change. */
  confirm(): void {
    this.#inSyncAt = this.#mark();
  }

  /** Wall clock, milliseconds since 1970; `undefined` for one that was never there. */
  confirmedAtMs(subnet: Cidr): number | undefined {
    const mark = this.#markOf(subnet);
    if (mark === undefined) return undefined;
    const atMs = this.#clock.now() - this.#ageOf(mark);
    // The same whenever it is asked, unless a clock was set.
    return Math.abs(atMs - mark.wallMs) < 1_000 ? mark.wallMs : atMs;
  }

  /** Milliseconds since etcd confirmed it; never: `Infinity`. */
  ageMs(subnet: Cidr): number {
    const mark = this.#markOf(subnet);
    return mark === undefined ? Infinity : this.#ageOf(mark);
  }

  /** Whether a start without etcd believes it. */
  isTrustedAtStart(subnet: Cidr): boolean {
    return this.ageMs(subnet) <= this.#times.savedSeconds * 1_000;
  }

  /** Whether a running agent believes it. */
  isTrusted(subnet: Cidr): boolean {
    return this.#knownMs(this.ageMs(subnet)) > 0;
  }

  remainingMs(subnet: Cidr): number {
    const { ttlSeconds, graceSeconds } = this.#times;
    const ageMs = this.ageMs(subnet);
    const leaseMs = (ttlSeconds + graceSeconds) * 1_000 - ageMs;
    return Math.min(Math.max(leaseMs, RUNNING_AGENT_MS), this.#knownMs(ageMs));
  }

  /** What is left of the limit for a running agent. */
  #knownMs(ageMs: number): number {
    const { knownSeconds } = this.#times;
    return knownSeconds === 0 ? Infinity : knownSeconds * 1_000 - ageMs;
  }

  #markOf(subnet: Cidr): Mark | undefined {
    const key = formatCidr(subnet);
    return this.#apart.get(key) ??
      (this.#listed.has(key) ? this.#inSyncAt : undefined);
  }

  #ageOf({ monotonicMs, wallMs }: Mark): number {
    const now = this.#mark();
    return Math.max(
      0,
      now.monotonicMs - monotonicMs,
      now.wallMs - wallMs,
    );
  }

  #mark(): Mark {
    return {
      monotonicMs: this.#clock.monotonic(),
      wallMs: this.#clock.now(),
    };
  }
}
