/**
 * How packets get to the other hosts: the interface of every backend.
 *
 * @module
 */

import type { Cidr } from "../net/cidr.ts";
import type { DataPathName, PeerDiff } from "../net/peer.ts";
import type { Overlay, Underlay } from "../net/underlay.ts";

/** What a backend is told before it starts. */
export interface BackendContext {
  /** The whole overlay. */
  readonly network: Cidr;
  /** This host's part of it. */
  readonly subnet: Cidr;
  readonly underlay: Underlay;
}

/** What a backend publishes in the host's lease (compat 3.2). */
export interface BackendAdvertisement {
  /** Omitted from the lease when it is `udp`. */
  readonly backendType: string;
  readonly backendData?: unknown;
  /** What carries the packets; absent until it is known, which a start may decide. */
  readonly dataPath?: DataPathName;
}

/** What `loden status` and the log show of a backend. */
export interface BackendStatus {
  readonly type: string;
  /** Which data path carries packets, and why that one. */
  readonly dataPath: string;
  readonly reason: string;
  readonly device: string | undefined;
  readonly peers: number;
  /**
   * Whether packets flow on without this process, as of now. Absent: they do not.
   */
  readonly outlivesAgent?: boolean;
  /** What else is worth a line to a person, by its name: `receive on eth0`. */
  readonly details?: Readonly<Record<string, string>>;
  /** Packets and bytes moved, and drops by reason; names are an interface. */
  readonly counters: Readonly<Record<string, number>>;
}

/**
 * One way to carry packets. `start` makes the device and begins to forward;
 * `stop` ends the process's part and leaves in the kernel what can carry traffic
 * by itself (`loden cleanup` removes that).
 */
export interface Backend {
  readonly type: string;
  /** Asked before the start, and again whenever the backend has been started. */
  advertise(): BackendAdvertisement;
  start(context: BackendContext, signal: AbortSignal): Promise<Overlay>;
  /** Brings the peers up to date while traffic flows. */
  apply(diff: PeerDiff): Promise<void>;
  status(): BackendStatus;
  /**
   * Rejects when the data path can no longer carry packets (device deleted,
   * worker died); pending while all is well, resolves after `stop`.
   */
  readonly failed: Promise<never | void>;
  stop(): Promise<void>;
}
