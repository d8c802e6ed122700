/**
 * The data path of the `udp` backend, in user space or in the kernel.
 *
 * @module
 */

import type { DropReader } from "../../net/dropped_packet.ts";
import type { OverlayMtu } from "../../net/mtu.ts";
import type { DataPathName, PeerDiff, PeerTraffic } from "../../net/peer.ts";
import type { BackendContext } from "../backend.ts";

/** Options of a data path. */
export interface UdpDataPathOptions extends BackendContext {
  readonly mtuBytes: OverlayMtu;
  /** Of every host of the cluster (compat 2.5). */
  readonly port: number;
  /** Name or pattern (`flannel%d`) of the overlay device. */
  readonly device: string;
  /** The alias that marks the device as this network's. */
  readonly deviceAlias: string;
  readonly senderCheck: SenderCheck;
  /** Whether packets must arrive on an interface that leads to their sender. */
  readonly checksInterface: boolean;
  /** How the kernel data path receives packets. */
  readonly receive: ReceiveChoice;
  /** From which port the kernel data path sends. */
  readonly sourcePort: SourcePortChoice;
  /** Words of `features.ts`. */
  readonly disabledFeatures: readonly string[];
}

/** A data path that runs. */
export interface UdpDataPath {
  readonly name: DataPathName;
  /** The overlay device. */
  readonly deviceName: string;
  /** Whether packets keep flowing after the process has ended. */
  readonly outlivesAgent: boolean;
  /**
   * Rejects with {@linkcode BackendFailedError} when packets can no longer be
   * carried; pending while it works, resolves after `stop`.
   */
  readonly failed: Promise<void>;
  /** The number of known peers. */
  readonly peerCount: number;
  /**
   * Updates the peers while packets flow; the cost depends on the size of the
   * diff, not of the cluster. The first diff has all peers: others that an
   * earlier agent left are removed. Calls do not overlap.
   */
  changePeers(diff: PeerDiff): Promise<void>;
  /** Those that packets leave from, `49152-65535`, if not the network's. */
  readonly sourcePorts?: string | undefined;
  /** Names of the devices through which peers are reached now. */
  underlayDevices(): readonly string[];
  /** Names are an interface: `docs/datapath.md`. */
  counters(): Record<string, number>;
  /** Of the peers that have counters of their own; absent: none have. */
  peerTraffic?(): readonly PeerTraffic[];
  /** `undefined` if this kernel cannot tell what is dropped. */
  readonly drops: DropReader | undefined;
  /** What else `loden status` shows, by name. */
  details(): Record<string, string>;
  /** Stops the process's part; what runs in the kernel alone stays. */
  stop(): Promise<void>;
}

/** `auto` picks the fastest one that works on this host. */
export type DataPathChoice = "auto" | "ebpf" | "tun";

/**
 * How the kernel data path receives packets from the underlay. `auto` picks the
 * fastest mode that is safe for each device: `ebpf/receive_mode.ts`.
 */
export type ReceiveChoice = "auto" | "xdp" | "gro" | "direct";

/**
 * From which port the kernel data path sends: one per flow, the network's, or
 * what suits the host: `ebpf/source_port_choice.ts`.
 */
export type SourcePortChoice = "auto" | "hash" | "fixed";

/** `count` accepts and counts it, `off` only accepts it. */
export type SenderCheck = "strict" | "count" | "off";
