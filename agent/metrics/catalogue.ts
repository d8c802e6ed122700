/**
 * Every metric of the agent. Names, types, labels and their values are an interface;
 * docs/metrics.md has them for operators.
 *
 * Names follow https://prometheus.io/docs/practices/naming/: base units, `_total` for
 * counters, and times as Unix times. No label has values without a bound: peers have
 * series of their own only where they are asked for.
 *
 * @module
 */

import { BACKENDS } from "../../backend/backends.ts";
import { PROGRAM_COUNTERS } from "../../backend/udp/ebpf/counters.ts";
import { SLOW_PATH_COUNTERS } from "../../backend/udp/ebpf/slow_path.ts";
import { COUNTER_NAMES } from "../../backend/udp/tun/counters.ts";
import { REGISTRY_FAULTS } from "../../lease/errors.ts";
import { warningDefinitions } from "../status/health.ts";
import {
  REGISTRY_CALLS,
  RENEWAL_RESULTS,
  RESYNC_CAUSES,
} from "./counting_registry.ts";
import { DIRECTIONS, dropLabels } from "./drop_reasons.ts";
import { LOG_LEVELS } from "./event_counts.ts";
import { LOSS_CAUSES } from "./lease_losses.ts";
import type { Metric } from "./metric.ts";

/** The reasons of all data paths, and what a device's own statistics tell. */
const DROP_REASONS = [
  ...new Set(
    [...PROGRAM_COUNTERS, ...SLOW_PATH_COUNTERS, ...Object.keys(COUNTER_NAMES)]
      .flatMap((counter) => dropLabels(counter)?.reason ?? []),
  ),
].sort();

const RESULTS = ["ok", ...REGISTRY_FAULTS, "error"];

const PEER = { peer: "the peer's subnet" };

/** But for its name. */
type Details = Omit<Metric, "name">;

const typed =
  (type: Metric["type"]) =>
  (help: string, more: Omit<Details, "type" | "help"> = {}): Details => ({
    type,
    help,
    ...more,
  });
const counter = typed("counter");
const gauge = typed("gauge");
const histogram = typed("histogram");

/** In the order of the output. */
const METRICS = {
  loden_build_info: gauge("Always 1. Which Loden runs.", {
    labels: {
      version: "of Loden",
      revision: "the commit it was built from",
      deno: "the version of the runtime",
      arch: "the processor: x86_64, aarch64",
    },
  }),
  loden_start_time_seconds: gauge("When the agent started."),
  loden_ready: gauge("Whether READY was reported and /readyz answers 200."),
  loden_warnings: gauge(
    "Whether a warning is shown, as in loden status. " +
      "One that is only the consequence of another is 0.",
    {
      labels: {
        code: Object.keys(warningDefinitions),
        severity: ["error", "warning"],
      },
    },
  ),
  loden_log_records_total: counter(
    "Lines of the log, by level, without debug.",
    { labels: { level: LOG_LEVELS } },
  ),
  loden_datapath_info: gauge(
    "Always 1. How packets reach other hosts, and the overlay device.",
    {
      labels: {
        backend: BACKENDS.specs.map(({ type }) => type),
        path: "as in loden status: ebpf, tun, kernel VXLAN, ...",
        interface: "the overlay device; empty without one",
      },
    },
  ),
  loden_datapath_restarts_total: counter(
    "How often the backend was started again after a failure.",
  ),
  loden_lease_info: gauge("Always 1, while this host has a subnet.", {
    labels: { subnet: "of this host" },
  }),
  loden_lease_held: gauge(
    "Whether etcd has confirmed the lease: state held or renewing.",
  ),
  loden_lease_expiry_timestamp_seconds: gauge(
    "When the lease ends without renewal. None for a reservation.",
  ),
  loden_lease_renew_margin_seconds: gauge(
    "How long before its end the lease is renewed.",
  ),
  loden_lease_renewals_total: counter(
    "Attempts to renew the lease or change its value.",
    { labels: { result: RENEWAL_RESULTS } },
  ),
  loden_lease_losses_total: counter(
    "How often the lease was lost while the agent ran.",
    { labels: { cause: LOSS_CAUSES } },
  ),
  loden_etcd_up: gauge("Whether etcd answers and accepts what the agent asks."),
  loden_etcd_last_contact_timestamp_seconds: gauge(
    "When etcd last answered a request or reported a change.",
  ),
  loden_etcd_requests_total: counter("Requests to etcd.", {
    labels: { op: REGISTRY_CALLS, result: RESULTS },
  }),
  loden_etcd_request_duration_seconds: histogram(
    "How long requests to etcd took, failed ones included.",
    { labels: { op: REGISTRY_CALLS } },
  ),
  loden_etcd_watch_resyncs_total: counter(
    "How often the watch of all leases ended and they were listed again.",
    { labels: { cause: RESYNC_CAUSES } },
  ),
  loden_network_subnets: gauge("How many subnets the network config allows."),
  loden_network_subnets_used: gauge(
    "How many of them are leased: by this host and its peers.",
  ),
  loden_peers: gauge(
    "Other hosts. Unreachable: probes are not answered. " +
      "Stale: gone from etcd, kept for the grace period. " +
      "Ignored: the backend does not serve them. Up: all others.",
    { labels: { state: ["up", "stale", "unreachable", "ignored"] } },
  ),
  loden_peers_apply_duration_seconds: histogram(
    "How long changes of the peers took to reach the data path.",
  ),
  loden_packets_total: counter(
    "Packets of the overlay, to and from other hosts.",
    { labels: { direction: DIRECTIONS }, otel: "system.network.packet.count" },
  ),
  loden_bytes_total: counter("Their bytes, without the outer headers.", {
    labels: { direction: DIRECTIONS },
    otel: "system.network.io",
  }),
  loden_super_packets_total: counter(
    "Of these, packets that passed merged (TSO, GRO), before they were cut.",
    { labels: { direction: DIRECTIONS } },
  ),
  loden_dropped_packets_total: counter(
    "Dropped packets. The reasons are those of the counters in loden status.",
    {
      labels: { direction: DIRECTIONS, reason: DROP_REASONS },
      otel: "system.network.packet.dropped",
    },
  ),
  loden_sender_mismatch_passed_total: counter(
    "Packets accepted only because of --sender-check=count.",
  ),
  loden_peer_packets_total: counter(
    "Packets to and from a peer, with the kernel data path.",
    { labels: { ...PEER, direction: DIRECTIONS }, isPerPeer: true },
  ),
  loden_peer_bytes_total: counter("Their bytes, without the outer headers.", {
    labels: { ...PEER, direction: DIRECTIONS },
    isPerPeer: true,
  }),
  loden_peer_up: gauge(
    "Whether a peer answers probes. None while that is unknown.",
    { labels: PEER, isPerPeer: true },
  ),
  loden_peer_rtt_seconds: gauge("Round trip through the overlay, smoothed.", {
    labels: PEER,
    isPerPeer: true,
  }),
  loden_peer_loss_ratio: gauge(
    "Share of the last probes without an answer, 0 to 1.",
    { labels: PEER, isPerPeer: true },
  ),
  loden_peer_mtu_bytes: gauge(
    "The largest packet that reached the peer unfragmented.",
    { labels: PEER, isPerPeer: true },
  ),
  loden_peer_last_seen_timestamp_seconds: gauge(
    "When the peer last answered a probe.",
    { labels: PEER, isPerPeer: true },
  ),
  loden_path_mtu_learned_total: counter(
    "How often a router reported a smaller path MTU to a peer.",
  ),
  loden_overlay_repairs_total: counter(
    "How often another program changed the overlay device, its routes or " +
      "its entries, and they were restored.",
  ),
  loden_firewall_changes_total: counter(
    "How often firewall rules were set or restored, at the start as well.",
    { labels: { kind: ["rules", "anti_spoofing", "docker"] } },
  ),
  loden_firewall_rules_missing: gauge(
    "Kinds of firewall rules that are wanted and not in place.",
  ),
  loden_overlay_mtu_bytes: gauge("The MTU that containers get."),
  loden_underlay_mtu_bytes: gauge("The MTU of the underlay interface."),
  loden_config_reloads_total: counter(
    "Network configs from etcd that were applied or refused while running.",
    { labels: { result: ["ok", "refused"] } },
  ),
  loden_config_last_reload_successful: gauge(
    "0 while the published network config is refused.",
  ),
  process_start_time_seconds: gauge("When the process started."),
  process_cpu_seconds_total: counter("Processor time of the process.", {
    otel: "process.cpu.time",
  }),
  process_resident_memory_bytes: gauge("Resident memory of the process.", {
    otel: "process.memory.usage",
  }),
  process_open_fds: gauge("Open file descriptors of the process.", {
    otel: "process.open_file_descriptor.count",
  }),
};

/** The name of a metric. */
export type MetricName = keyof typeof METRICS;

/** As a list, in the same order. */
export const CATALOGUE = (Object.keys(METRICS) as MetricName[])
  .map((name): Metric & { readonly name: MetricName } => ({
    name,
    ...METRICS[name],
  }));
