/**
 * Reads the value of every metric. Loaded with the first scrape.
 *
 * @module
 */

import type { BackendStatus } from "../../backend/backend.ts";
import { isShown, warningDefinitions } from "../status/health.ts";
import type { AgentState } from "../status/state.ts";
import type { StatusSummary } from "../status/status_snapshot.ts";
import type { AgentMetrics } from "./agent_metrics.ts";
import { CATALOGUE, type MetricName } from "./catalogue.ts";
import { trafficCounters } from "./device_counters.ts";
import { dropLabels } from "./drop_reasons.ts";
import { LOG_LEVELS } from "./event_counts.ts";
import { LOSS_CAUSES } from "./lease_losses.ts";
import type { Family, Metric, Sample } from "./metric.ts";
import { peerTrafficSamples, probeSamples } from "./peer_samples.ts";
import { processSamples } from "./process_samples.ts";

type Samples = Partial<Record<MetricName, readonly Sample[]>>;

/** What to read. */
export interface CollectOptions {
  /** Whether the metrics of the process are among them. */
  readonly ofProcess: boolean;
}

/** All metrics in the order of the catalogue, some without a value. */
export async function collect(
  state: AgentState,
  metrics: AgentMetrics,
  { ofProcess }: CollectOptions,
): Promise<Family[]> {
  const status = state.summary();
  const samples: Samples = {
    ...await agentSamples(state, status, metrics),
    ...leaseSamples(status, metrics),
    ...etcdSamples(status, metrics),
    ...networkSamples(state, status, metrics),
    ...trafficSamples(status.backend),
    ...hostSamples(status, metrics),
    ...metrics.facts.perPeer
      ? {
        ...probeSamples(state.parts.peerStates(), Date.parse(status.time)),
        ...peerTrafficSamples(state.parts.peerTraffic()),
      }
      : {},
    ...ofProcess ? processSamples() : {},
  };
  return CATALOGUE
    .filter((metric: Metric) =>
      (metrics.facts.perPeer || !metric.isPerPeer) &&
      (ofProcess || !metric.name.startsWith("process_"))
    )
    .map((metric) => ({ metric, samples: samples[metric.name] ?? [] }));
}

/** One value, without labels; none if it is unknown. */
function one(value: number | undefined | null): Sample[] {
  return value === undefined || value === null ? [] : [{ value }];
}

/** An `_info` metric. */
function info(labels: Readonly<Record<string, string>>): Sample[] {
  return [{ labels, value: 1 }];
}

/** One value for each of a closed set. */
function each<T extends string>(
  label: string,
  words: readonly T[],
  value: (word: T) => number,
): Sample[] {
  return words.map((word) => ({
    labels: { [label]: word },
    value: value(word),
  }));
}

async function agentSamples(
  state: AgentState,
  status: StatusSummary,
  { events, facts, startedMs }: AgentMetrics,
): Promise<Samples> {
  const { arch, deno, version } = facts;
  const revision = await facts.revision();
  const shown = new Set(
    state.warnings().filter(isShown).map(({ code }) => code),
  );
  return {
    loden_build_info: info({ version, revision, deno, arch }),
    loden_start_time_seconds: one(startedMs / 1_000),
    loden_ready: one(status.ready && state.notReady().length === 0 ? 1 : 0),
    loden_warnings: Object.entries(warningDefinitions).map(
      ([code, { severity }]) => ({
        labels: { code, severity },
        value: shown.has(code as keyof typeof warningDefinitions) ? 1 : 0,
      }),
    ),
    loden_log_records_total: each(
      "level",
      LOG_LEVELS,
      (level) => events.level(level),
    ),
  };
}

function leaseSamples(
  { lease }: StatusSummary,
  { facts, losses, registry }: AgentMetrics,
): Samples {
  const isHeld = lease?.state === "held" || lease?.state === "renewing";
  return {
    loden_lease_info: lease === null || lease.subnet === null
      ? []
      : info({ subnet: lease.subnet }),
    loden_lease_held: one(isHeld ? 1 : 0),
    loden_lease_expiry_timestamp_seconds: one(seconds(lease?.expires)),
    loden_lease_renew_margin_seconds: one(facts.renewMarginSeconds),
    loden_lease_renewals_total: registry.renewals,
    loden_lease_losses_total: each(
      "cause",
      LOSS_CAUSES,
      (cause) => losses.count(cause),
    ),
  };
}

function etcdSamples(
  { warnings }: StatusSummary,
  { registry }: AgentMetrics,
): Samples {
  const { contactMs } = registry;
  const isAway = contactMs === undefined ||
    warnings.some(({ code }) => code === "etcd.unavailable");
  return {
    loden_etcd_up: one(isAway ? 0 : 1),
    loden_etcd_last_contact_timestamp_seconds: one(
      contactMs === undefined ? undefined : contactMs / 1_000,
    ),
    loden_etcd_requests_total: registry.calls,
    loden_etcd_request_duration_seconds: registry.durations.samples(),
    loden_etcd_watch_resyncs_total: registry.resyncs,
  };
}

function networkSamples(
  state: AgentState,
  { backend, lease, overlay, peerCount, underlay }: StatusSummary,
  { applies, events }: AgentMetrics,
): Samples {
  const states = { up: 0, stale: 0, unreachable: 0, ignored: 0 };
  for (const { probe, stale } of state.parts.peerStates()) {
    const word = stale
      ? "stale"
      : probe?.state === "unreachable"
      ? "unreachable"
      : "up";
    states[word]++;
  }
  if (backend !== null) {
    states.ignored = Math.max(0, peerCount - backend.peers);
    states.up = Math.max(0, states.up - states.ignored);
  }
  return {
    loden_network_subnets: one(state.parts.subnetCount()),
    loden_network_subnets_used: one(
      peerCount + (lease === null || lease.subnet === null ? 0 : 1),
    ),
    loden_peers: Object.entries(states).map(([state, value]) => ({
      labels: { state },
      value,
    })),
    loden_peers_apply_duration_seconds: applies.samples(),
    loden_overlay_mtu_bytes: one(overlay?.mtuBytes),
    loden_underlay_mtu_bytes: one(underlay?.mtuBytes),
    loden_overlay_repairs_total: one(events.event("backend.device-mended")),
  };
}

function trafficSamples(backend: BackendStatus | null): Samples {
  if (backend === null) return {};
  const { dataPath, device, type } = backend;
  const values = trafficCounters(backend);
  const directions = (name: string) =>
    [["transmit", `tx.${name}`], ["receive", `rx.${name}`]].flatMap(
      ([direction, counter]) =>
        values[counter!] === undefined
          ? []
          : [{ labels: { direction: direction! }, value: values[counter!]! }],
    );
  return {
    loden_datapath_info: info({
      backend: type,
      path: dataPath,
      interface: device ?? "",
    }),
    loden_packets_total: directions("packets"),
    loden_bytes_total: directions("bytes"),
    loden_super_packets_total: directions("superPackets"),
    loden_dropped_packets_total: Object.entries(values).flatMap(
      ([counter, value]) => {
        const labels = dropLabels(counter);
        return labels === undefined ? [] : [{ labels: { ...labels }, value }];
      },
    ),
    loden_sender_mismatch_passed_total: one(values["rx.senderMismatchPassed"]),
    loden_path_mtu_learned_total: one(values["tx.pathMtuLearned"]),
  };
}

function hostSamples(
  { backendRestarts, warnings }: StatusSummary,
  { events }: AgentMetrics,
): Samples {
  const isRefused = warnings.some(({ code }) => code === "config.refused");
  return {
    loden_datapath_restarts_total: one(backendRestarts),
    loden_firewall_changes_total: [
      ["rules", "firewall.set"],
      ["anti_spoofing", "firewall.anti-spoofing"],
      ["docker", "firewall.docker-pass"],
    ].map(([kind, event]) => ({
      labels: { kind: kind! },
      value: events.event(event!),
    })),
    loden_firewall_rules_missing: one(
      warnings.filter(({ code }) => code.startsWith("firewall.")).length,
    ),
    loden_config_reloads_total: [
      ["ok", "config.changed"],
      ["refused", "config.refused"],
    ].map(([result, event]) => ({
      labels: { result: result! },
      value: events.event(event!),
    })),
    loden_config_last_reload_successful: one(isRefused ? 0 : 1),
  };
}

function seconds(time: string | null | undefined): number | undefined {
  return time === null || time === undefined
    ? undefined
    : Date.parse(time) / 1_000;
}
