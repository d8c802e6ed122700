/**
 * What moves the packets of the `udp` backend: in user space or in the kernel.
 *
 * @module
 */

import type { OverlayMtu } from "../../net/mtu.ts";
import type { DataPathName, PeerDiff } from "../../net/peer.ts";
import type { BackendContext } from "../backend.ts";

/** How a data path works. */
export interface UdpDataPathOptions extends BackendContext {
  readonly mtuBytes: OverlayMtu;
  /** Of every host of the cluster (compat 2.5). */
  readonly port: number;
  /** Name or pattern (`flannel%d`) of the overlay device. */
  readonly device: string;
  /** The alias that marks the device as this network's. */
  readonly deviceAlias: string;
  readonly senderCheck: SenderCheck;
  /** How the kernel data path takes packets. */
  readonly receive: ReceiveChoice;
  /** Words of `features.ts`. */
  readonly disabledFeatures: readonly string[];
}

/** A data path that runs. */
export interface UdpDataPath {
  readonly name: DataPathName;
  /** The overlay device. */
  readonly deviceName: string;
  /** Whether packets flow on when the process has ended. */
  readonly outlivesAgent: boolean;
  /**
   * Rejects with {@linkcode BackendFailedError} when packets can no longer be
   * carried; pending while all is well, resolves after `stop`.
   */
  readonly failed: Promise<void>;
  /** How many it has been told of. */
  readonly peerCount: number;
  /**
   * Brings the peers up to date while packets flow; it costs what the diff is
   * large, not what the cluster is. The first diff has all of them: what an
   * earlier agent has left and it does not name goes. Calls do not overlap.
   */
  changePeers(diff: PeerDiff): Promise<void>;
  /** Names are an interface: `docs/datapath.md`. */
  counters(): Record<string, number>;
  /** What else `loden status` shows, by name. */
  details(): Record<string, string>;
  /** Ends the process's part; what the kernel carries by itself stays. */
  stop(): Promise<void>;
}

/** `auto` is the best that works here. */
export type DataPathChoice = "auto" | "ebpf" | "tun";

/**
 * How the kernel data path takes packets from the underlay. `auto` is the best
 * for each underlay device: `ebpf/receive_mode.ts`.
 */
export type ReceiveChoice = "auto" | "xdp" | "gro" | "direct";

/** `count` lets it pass and counts it, `off` only lets it pass. */
export type SenderCheck = "strict" | "count" | "off";
