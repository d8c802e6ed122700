/**
 * The agent's state as `loden status --json` prints it.
 *
 * @module
 */

import type { BackendStatus } from "../../backend/backend.ts";
import type { DockerStatus } from "../../host/docker/docker_watch.ts";
import type { Warning } from "./health.ts";

/** The steps of a start, in order, and the later phases. */
export type AgentPhase =
  | "starting"
  | "reading-config"
  | "finding-underlay"
  | "acquiring-lease"
  | "starting-data-path"
  | "setting-firewall"
  | "writing-files"
  | "running"
  | "stopping"
  | "stopped";

/** The underlay, for people. */
export interface UnderlayStatus {
  readonly interface: string;
  readonly address: string;
  readonly publicIp: string;
  readonly mtuBytes: number;
}

/**
 * The lease, for people. `state` is the lease keeper's state (docs/lease.md).
 */
export interface LeaseStatus {
  readonly subnet: string | null;
  readonly state: string;
  /** Why the state is not `held`. */
  readonly cause: string | null;
  /** Stable, e.g. `registry.refused` (docs/lease.md). */
  readonly causeCode: string | null;
  /** RFC 3339. */
  readonly since: string;
  /** RFC 3339; `null` while no lease is held and for a reservation. */
  readonly expires: string | null;
}

/** Another host. */
export interface PeerStatus {
  readonly subnet: string;
  readonly publicIp: string;
  readonly backendType: string;
  /** As its lease says; `null` for flannel. */
  readonly dataPath: string | null;
  readonly stale: boolean;
  /** RFC 3339: when etcd last confirmed it; `null` while that is not known. */
  readonly confirmed: string | null;
  /** RFC 3339: since when this agent has served the subnet at this address. */
  readonly since: string | null;
  /** What probes have found (docs/probes.md); `null` without them. */
  readonly probe: PeerProbeStatus | null;
}

/** What probes have found about another host. */
export interface PeerProbeStatus {
  readonly state: "unknown" | "reachable" | "unreachable";
  /** RFC 3339: since when it is in that state. */
  readonly since: string;
  /** How it answers; `null` before the first answer. */
  readonly way: "udp" | "icmp" | null;
  /** Smoothed. */
  readonly rttMs: number | null;
  /** The share of the last 32 turns without an answer, 0 to 1. */
  readonly lossRatio: number | null;
  /** The largest packet that passed unfragmented. */
  readonly mtuBytes: number | null;
  /** RFC 3339. */
  readonly lastAnswer: string | null;
}

/** The probes of this host. */
export interface ProbesStatus {
  readonly port: number;
  /** Where they are answered; `null`: nowhere. */
  readonly address: string | null;
  /** Why they are not answered although the network runs. */
  readonly failure: string | null;
  readonly reachable: number;
  readonly unreachable: number;
  readonly unknown: number;
  /** Since the start, by name (docs/probes.md). */
  readonly counters: Readonly<Record<string, number>>;
}

/** A file that the agent writes for other programs. */
export interface FileStatus {
  readonly path: string;
  readonly written: boolean;
}

/** What `loden status --json` prints. Fields are only ever added (`schema`). */
export interface StatusSnapshot {
  readonly schema: 1;
  /** RFC 3339: the agent's clock at this moment. */
  readonly time: string;
  readonly version: string;
  readonly pid: number;
  readonly instance: string;
  readonly etcdPrefix: string;
  readonly etcdEndpoints: readonly string[];
  readonly phase: AgentPhase;
  /** RFC 3339: when the phase began. */
  readonly phaseSince: string;
  /** Whether READY was reported, so that Docker may start. */
  readonly ready: boolean;
  /** Whether the network runs from saved state, because etcd is away. */
  readonly fromSavedState: boolean;
  /** What the agent waits for; `null` if nothing. */
  readonly waitingFor: string | null;
  readonly network: string | null;
  /**
   * The subnet that Docker was given; the lease may be lost in the meantime.
   */
  readonly subnet: string | null;
  readonly underlay: UnderlayStatus | null;
  readonly overlay: { device: string | null; mtuBytes: number } | null;
  readonly lease: LeaseStatus | null;
  readonly backend: BackendStatus | null;
  readonly backendRestarts: number;
  readonly peers: readonly PeerStatus[];
  /** `null` with `--probe-port=0`. */
  readonly probes: ProbesStatus | null;
  readonly firewall: string | null;
  /** `null` if no daemon runs on this host. */
  readonly docker: DockerStatus | null;
  readonly files: readonly FileStatus[];
  /** The URL of the page on this host; `null` if no port is set for it. */
  readonly web: string | null;
  readonly warnings: readonly StatusWarning[];
}

/** The input of a one-line summary of the state. */
export type StatusSummary = Omit<StatusSnapshot, "peers"> & {
  readonly peerCount: number;
};

/** A warning in `status --json`. */
export interface StatusWarning extends Omit<Warning, "sinceMs"> {
  /** RFC 3339. */
  readonly since: string;
}

/** RFC 3339, UTC, milliseconds. */
export function formatTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
