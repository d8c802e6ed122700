/**
 * A check of `loden doctor`, and what it may look at.
 *
 * @module
 */

import type { StatusSnapshot } from "../../agent/status/status_snapshot.ts";
import type { Feature, FeatureTrial } from "../../backend/feature_trials.ts";
import type { BackendConfig } from "../../config/network/backend_spec.ts";
import type { NetworkConfig } from "../../config/network/network.ts";
import type { Settings } from "../../config/settings.ts";
import type { LodenError } from "../../errors.ts";
import type { EngineDescription } from "../../host/docker/engine.ts";
import type { FlanneldProcess } from "../../host/flanneld_process.ts";
import type { SubnetEnv } from "../../host/subnet_env.ts";
import type { EndpointReport } from "../../lease/etcd/endpoint_report.ts";
import type { Lease } from "../../lease/lease.ts";
import type { ClockSync } from "../../linux/clock_sync.ts";
import type { CommandRunner } from "../../linux/command.ts";
import type { ModuleState } from "../../linux/kernel_module.ts";
import type { RtnetlinkReader } from "../../linux/netlink/rtnetlink.ts";
import type { Cidr } from "../../net/cidr.ts";
import type { Finding } from "./finding.ts";

/** One check. It changes nothing. */
export interface Check {
  /** What it looks at, for people who wait for it. */
  readonly name: string;
  /** Ends soon after `signal` is aborted. */
  readonly run: (
    host: DoctorHost,
    signal: AbortSignal,
  ) => Promise<readonly Finding[]> | readonly Finding[];
  /** In place of the warning `doctor.late`. */
  readonly late?: (host: DoctorHost) => readonly Finding[];
}

/** What is known about the network that this host belongs to. */
export interface KnownNetwork {
  /** As published; `undefined` if it cannot be read or is not valid. */
  readonly config: NetworkConfig | undefined;
  /** Why there is no config. */
  readonly failure: LodenError | undefined;
  /** All hosts' leases; `undefined` if they cannot be read. */
  readonly leases: readonly Lease[] | undefined;
  /** The subnet file; empty without one. */
  readonly subnetEnv: Partial<SubnetEnv>;
  /** The backends of the last start. */
  readonly backends: readonly BackendConfig[];
  /** This installation; `undefined` if it has none yet or it cannot be read. */
  readonly hostId: string | undefined;
  /** Of the config, or else of the subnet file. */
  readonly network: Cidr | undefined;
}

/** A running Docker daemon. */
export interface RunningEngine {
  /** Its command line. */
  readonly words: readonly string[];
  /** Asks it, over its socket. */
  readonly describe: () => Promise<EngineDescription>;
}

/** What an agent of this network says. */
export type AgentSight =
  | { readonly kind: "running"; readonly status: StatusSnapshot }
  | { readonly kind: "absent" }
  | { readonly kind: "unseen"; readonly reason: string };

/** This host, read only. */
export interface DoctorHost {
  readonly settings: Settings;
  readonly isRoot: boolean;
  readonly kernelRelease: string;
  readonly rtnetlink: RtnetlinkReader;
  readonly runner: CommandRunner;
  /** `undefined`: it is not there, or may not be read. */
  readonly readText: (path: string) => string | undefined;
  readonly exists: (path: string) => boolean;
  readonly moduleState: (name: string) => ModuleState | undefined;
  /** Whether using a module that is not loaded would load it. */
  readonly canLoadModules: boolean;
  /** Tries each where nothing remains of it. */
  readonly tryFeatures: (
    features: readonly Feature[],
    signal: AbortSignal,
  ) => Promise<readonly FeatureTrial[]>;
  readonly clockSync: () => ClockSync;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
  /** Each endpoint, asked once for all checks. */
  readonly etcd: (
    signal: AbortSignal,
  ) => Promise<readonly EndpointReport[]>;
  /** The same for the network. */
  readonly network: (signal: AbortSignal) => Promise<KnownNetwork>;
  readonly agent: (signal: AbortSignal) => Promise<AgentSight>;
  /** `undefined`: none runs in this network namespace. */
  readonly engine: () => Promise<RunningEngine | undefined>;
  readonly findFlanneld: () => FlanneldProcess | undefined;
}
