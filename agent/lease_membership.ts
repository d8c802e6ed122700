/**
 * This host's lease and peers in etcd, and their saved state.
 *
 * @module
 */

import { backendOf, BACKENDS, isBackend } from "../backend/backends.ts";
import { getLogger } from "@logtape/logtape";
import type { BackendAdvertisement } from "../backend/backend.ts";
import { parseNetworkConfig } from "../config/network/network.ts";
import { describeError } from "../errors.ts";
import { previousSubnets } from "../lease/own/acquisition_plan.ts";
import type { Lease } from "../lease/lease.ts";
import {
  LeaseKeeper,
  type LeaseKeeperStatus,
} from "../lease/own/lease_keeper.ts";
import type { PeerLedger } from "../lease/peers/peer_ledger.ts";
import type { PeerSelf } from "../lease/peers/peer_set.ts";
import { PeerWatch } from "../lease/peers/peer_watch.ts";
import { answerUntilAborted } from "../lease/liveness/answer_probes.ts";
import type { LeaseRegistry } from "../lease/registry.ts";
import type { StateStore, StoredPeer } from "../lease/saved/state_store.ts";
import { describeUnconfirmed } from "../lease/peers/unconfirmed_peers.ts";
import { slept } from "../linux/clock.ts";
import { type Cidr, equalCidr, formatCidr } from "../net/cidr.ts";
import { formatMac } from "../net/mac.ts";
import { poolAdmits } from "../net/subnet_pool.ts";
import type { Underlay } from "../net/underlay.ts";
import type {
  LeaseRequest,
  Membership,
  MembershipEvents,
  MembershipUpdate,
  SavedNetwork,
} from "./membership.ts";
import type { RetryComponents } from "./tasks/retry.ts";
import { formatTime } from "./status/status_snapshot.ts";

const log = getLogger(["loden", "agent"]);

/** How often the ages of peers are looked at. */
const AGE_CHECK_MS = 30_000;

/** What a membership needs. */
export interface LeaseMembershipComponents extends RetryComponents {
  readonly registry: LeaseRegistry;
  /** When etcd confirmed which peers. */
  readonly ledger: PeerLedger;
  /** Opens the durable state of this network, as it was on this underlay. */
  readonly openStore: (underlay: Underlay) => Promise<StateStore>;
}

/** The settings, and the content of the last run's subnet file. */
export interface LeaseMembershipOptions {
  readonly ttlSeconds: number;
  readonly renewMarginSeconds: number;
  /** Whether to take the PublicIP from a host that is alive. */
  readonly takeOver: boolean;
  readonly peerGraceSeconds: number;
  readonly formerSubnet: Cidr | undefined;
}

/** {@linkcode Membership} with a lease keeper and a peer watch. */
export class LeaseMembership implements Membership {
  readonly #components: LeaseMembershipComponents;
  readonly #options: LeaseMembershipOptions;
  readonly #events: MembershipEvents;
  #store: Promise<StateStore> | undefined;
  /** The peers that a start without etcd uses, until the watch knows better. */
  #savedPeers: readonly StoredPeer[] = [];
  readonly #closing = new AbortController();
  #ages: Promise<void> | undefined;
  #keeper: LeaseKeeper | undefined;
  #watch: PeerWatch | undefined;
  #self: PeerSelf & { readonly hostId: string } | undefined;
  /** As acquired with, and as changed since. */
  #current: Pick<LeaseRequest, "config" | "underlay"> | undefined;
  #advertised: BackendAdvertisement | undefined;
  #formerTypes: readonly string[] = [];
  #leaseTrouble: string | undefined;
  #peersTrouble: string | undefined;

  constructor(
    components: LeaseMembershipComponents,
    options: LeaseMembershipOptions,
    events: MembershipEvents,
  ) {
    this.#components = components;
    this.#options = options;
    this.#events = events;
  }

  async saved(underlay: Underlay): Promise<SavedNetwork | undefined> {
    const { configText, lease } = await this.#open(underlay);
    if (configText === undefined || lease === undefined) return undefined;
    // With another address, the other hosts see another host.
    if (lease.publicIp !== underlay.publicIp) return undefined;
    try {
      const config = parseNetworkConfig(
        configText,
        BACKENDS,
        "the saved state",
      );
      if (!poolAdmits(config.pool, lease.subnet)) return undefined;
      this.#ages ??= this.#followAges(this.#closing.signal);
      return { config, subnet: lease.subnet, peers: this.#savedPeers };
    } catch (error) {
      log.warn("saved network config cannot be used", {
        event: "state.config-refused",
        error,
      });
      return undefined;
    }
  }

  async acquire(request: LeaseRequest, signal: AbortSignal): Promise<Lease> {
    const { config, underlay, advertisement } = request;
    this.#current = { config, underlay };
    const store = await this.#open(underlay);
    const { hostId } = store;
    const keeper = new LeaseKeeper({ ...this.#components, store }, {
      ...this.#options,
      previous: previousSubnets(this.#options.formerSubnet, store.lease),
    });
    this.#keeper = keeper;
    if (this.#advertised !== undefined) keeper.advertise(this.#advertised);
    keeper.onStatus((status) => this.#onLease(status));
    const attributes = {
      publicIp: underlay.publicIp,
      hostId,
      ...advertisement,
    };
    const lease = await keeper.acquire(config.pool, attributes, signal);
    store.saveConfig(this.#current.config.raw);
    const self = {
      network: this.#current.config.pool.network,
      subnet: lease.subnet,
      publicIp: this.#current.underlay.publicIp,
      backendType: advertisement.backendType,
      formerBackendTypes: this.#formerTypes,
      hostId,
    };
    this.#self = self;
    this.#watch = new PeerWatch({ ...this.#components, store }, {
      self,
      initialPeers: this.#savedPeers,
      peerGraceSeconds: this.#options.peerGraceSeconds,
      mayWaitFor: (type) => !isBackend(type) || !backendOf(type).encrypts,
      onDiff: (diff) => this.#events.onPeers(diff),
      onSynced: () => this.#events.onPeersKnown(),
      onFault: (error) => {
        this.#peersTrouble = error === undefined
          ? undefined
          : describeError(error);
        this.#tellTrouble();
      },
    });
    return lease;
  }

  advertise(advertisement: BackendAdvertisement): void {
    this.#advertised = advertisement;
    this.#keeper?.advertise(advertisement);
  }

  serve([backendType, ...formerTypes]: readonly string[]): void {
    this.#formerTypes = formerTypes;
    this.#moveTo({
      ...backendType !== undefined && { backendType },
      formerBackendTypes: formerTypes,
    });
  }

  update(change: MembershipUpdate): void {
    const { config, underlay } = change;
    if (this.#current) this.#current = { ...this.#current, ...change };
    if (config !== undefined) {
      this.#keeper?.usePool(config.pool);
      this.#store?.then((store) => store.saveConfig(config.raw));
      this.#moveTo({ network: config.pool.network });
    }
    if (underlay !== undefined) {
      const { publicIp, mac } = underlay;
      this.#store?.then((store) => store.moveTo(formatMac(mac)));
      this.#keeper?.relocate(publicIp);
      this.#moveTo({ publicIp });
    }
  }

  confirmedAtMs(subnet: Cidr): number | undefined {
    return this.#components.ledger.confirmedAtMs(subnet);
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#ages ??= this.#followAges(this.#closing.signal);
    const { hostId } = this.#self!;
    await Promise.all([
      this.#keeper!.run(signal),
      this.#watch!.run(signal),
      answerUntilAborted(this.#components, hostId, signal),
    ]);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#ages;
    await (await this.#store)?.close();
  }

  /** Tells of peers that etcd does not confirm, and ends the trust in saved ones. */
  async #followAges(signal: AbortSignal): Promise<void> {
    const { clock, ledger } = this.#components;
    while (await slept(clock, AGE_CHECK_MS, signal)) {
      const peers = this.#watch?.peers ?? this.#savedPeers;
      const subnets = peers.filter(({ stale }) => !stale)
        .map(({ subnet }) => subnet);
      this.#events.onPeersUnconfirmed(
        describeUnconfirmed(ledger, subnets, clock),
      );
      // The watch ends the trust in its own peers.
      if (this.#watch === undefined) await this.#dropDistrusted();
    }
  }

  async #dropDistrusted(): Promise<void> {
    const { ledger } = this.#components;
    const removed = this.#savedPeers.filter(({ subnet }) =>
      !ledger.isTrusted(subnet)
    );
    if (removed.length === 0) return;
    this.#savedPeers = this.#savedPeers.filter((peer) =>
      !removed.includes(peer)
    );
    log.warn("peers are no longer used: etcd has not confirmed them", {
      event: "peers.trust-ended",
      count: removed.length,
      subnets: removed.slice(0, 5).map(({ subnet }) => formatCidr(subnet))
        .join(" "),
    });
    await this.#events.onPeers({ added: [], changed: [], removed });
  }

  /** Opened once, by the first caller. */
  #open(underlay: Underlay): Promise<StateStore> {
    this.#store ??= this.#components.openStore(underlay)
      .then((store) => this.#readPeers(store));
    return this.#store;
  }

  /** Saved peers that are believed; the others are known again when etcd says so. */
  #readPeers(store: StateStore): StateStore {
    const { clock, ledger } = this.#components;
    const { lease, peers } = store;
    // An earlier version saved no ages. Its own lease was confirmed before all of
    // its life had begun, and the peers with it.
    const leaseAtMs = lease?.expiresAtMs === undefined
      ? clock.now()
      : lease.expiresAtMs - this.#options.ttlSeconds * 1_000;
    for (const { subnet, confirmedAtMs = leaseAtMs } of peers) {
      ledger.restore(subnet, confirmedAtMs);
    }
    this.#savedPeers = peers.filter(({ subnet }) =>
      ledger.isTrustedAtStart(subnet)
    );
    const old = peers.length - this.#savedPeers.length;
    if (old > 0) {
      log.warn("saved peers are too old to be used without etcd", {
        event: "peers.saved-too-old",
        count: old,
        trustSavedSeconds: ledger.times.savedSeconds,
      });
    }
    return store;
  }

  #moveTo(part: Partial<PeerSelf>): void {
    if (this.#self === undefined) return;
    this.#self = { ...this.#self, ...part };
    this.#watch!.moveTo(this.#self);
  }

  #onLease({ state, lease, expiresAtMs }: LeaseKeeperStatus): void {
    this.#events.onLease({
      subnet: lease === undefined ? null : formatCidr(lease.subnet),
      state: state.phase,
      cause: state.cause?.message ?? null,
      causeCode: state.cause?.code ?? null,
      since: formatTime(state.sinceMs),
      expires: expiresAtMs === undefined ? null : formatTime(expiresAtMs),
    });
    const known = this.#self?.subnet;
    if (
      lease !== undefined && known !== undefined &&
      !equalCidr(lease.subnet, known)
    ) {
      this.#moveTo({ subnet: lease.subnet });
      this.#events.onSubnetChanged(lease.subnet);
    }
    this.#leaseTrouble = state.cause?.code.startsWith("registry.")
      ? state.cause.message
      : undefined;
    this.#tellTrouble();
  }

  #tellTrouble(): void {
    this.#events.onEtcd(this.#leaseTrouble ?? this.#peersTrouble);
  }
}
