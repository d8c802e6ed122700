/**
 * How packets reach the other hosts: the interface of every backend.
 *
 * @module
 */

import type { Cidr } from "../net/cidr.ts";
import type { DropReader } from "../net/dropped_packet.ts";
import type { DataPathName, PeerDiff, PeerTraffic } from "../net/peer.ts";
import type { Overlay, Underlay, UnderlayUse } from "../net/underlay.ts";
import type { RouteClaim } from "./reconcile/route_claims.ts";

/** What a backend needs to start. */
export interface BackendContext {
  /** The overlay network. */
  readonly network: Cidr;
  /** This host's subnet. */
  readonly subnet: Cidr;
  readonly underlay: Underlay;
  /** Against the backends that run beside it during a change of backend. */
  readonly claim?: RouteClaim;
}

/** What a backend publishes in the host's lease (compat 3.2). */
export interface BackendAdvertisement {
  /** Omitted from the lease if it is `udp`. */
  readonly backendType: string;
  readonly backendData?: unknown;
  /** The data path; absent until the start has chosen it. */
  readonly dataPath?: DataPathName;
}

/** The warnings of `agent/status/health.ts` that a backend can raise. */
export const BACKEND_WARNING_CODES = [
  "data-path.ipsec",
  "backend.neighbours",
] as const;

/** What a backend that runs does not do as well as it could, and why. */
export interface BackendWarning {
  readonly code: typeof BACKEND_WARNING_CODES[number];
  readonly text: string;
}

/** What `loden status` and the log show about a backend. */
export interface BackendStatus {
  readonly type: string;
  /** The data path, and the reason for it. */
  readonly dataPath: string;
  readonly reason: string;
  readonly device: string | undefined;
  readonly peers: number;
  /** Whether packets would keep flowing without this process. Absent: no. */
  readonly outlivesAgent?: boolean;
  /** Further lines for people, by name: `receive on eth0`. */
  readonly details?: Readonly<Record<string, string>>;
  /** Packets and bytes moved, and drops by reason; names are an interface. */
  readonly counters: Readonly<Record<string, number>>;
}

/**
 * Carries packets to other hosts. `start` creates the device and begins to
 * forward. `stop` ends the process's part and leaves in the kernel whatever
 * carries traffic without it (`loden cleanup` removes that).
 */
export interface Backend {
  readonly type: string;
  /**
   * Obtains what the lease must carry from its first value on, where that takes
   * time: before {@linkcode Backend.advertise} is read for a lease.
   */
  prepare?(signal: AbortSignal): Promise<void>;
  /** Read before the start, and again after each start. */
  advertise(): BackendAdvertisement;
  start(context: BackendContext, signal: AbortSignal): Promise<Overlay>;
  /** Updates the peers while traffic flows. */
  apply(diff: PeerDiff): Promise<void>;
  status(): BackendStatus;
  /**
   * What other hosts send to this one, and by which devices they are reached, as
   * of now; `undefined` before the start. The host's firewall keeps such packets
   * from coming by any other device. A backend without outer packets has none.
   */
  underlayUse?(): UnderlayUse | undefined;
  /**
   * Devices on which packets of peers arrive without encapsulation, as of now;
   * `undefined` until that is known. Absent: none.
   */
  directDevices?(): readonly string[] | undefined;
  /** Traffic of the peers that have counters of their own. Absent: none have. */
  peerTraffic?(): readonly PeerTraffic[];
  /**
   * What it drops; `undefined` before the start, and if it cannot tell. Absent:
   * the kernel alone moves the packets.
   */
  drops?(): DropReader | undefined;
  /** Known once it has been started. */
  warnings?(): readonly BackendWarning[];
  /**
   * Rejects when the backend can no longer carry packets (device deleted,
   * worker died); pending while it works, resolves after `stop`.
   */
  readonly failed: Promise<never | void>;
  /**
   * Whether it accepts packets only from peers that it has been given. Absent: no.
   * When a peer changes to another backend, such a backend keeps it for a moment,
   * because packets of the former kind are still on their way.
   */
  readonly checksSenders?: boolean;
  stop(): Promise<void>;
  /**
   * After `stop`: removes what carries traffic in the kernel, because another
   * backend has taken its place. What backends share stays, such as the safety
   * route.
   */
  remove?(): Promise<void> | void;
}
