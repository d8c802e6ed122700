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

/** In the order of the output. */
export const CATALOGUE = [
  {
    name: "loden_build_info",
    type: "gauge",
    help: "Always 1. Which Loden runs.",
    labels: {
      version: "of Loden",
      revision: "the commit it was built from",
      deno: "the version of the runtime",
      arch: "the processor: x86_64, aarch64",
    },
  },
  {
    name: "loden_start_time_seconds",
    type: "gauge",
    help: "When the agent started.",
  },
  {
    name: "loden_ready",
    type: "gauge",
    help: "Whether READY was reported and /readyz answers 200.",
  },
  {
    name: "loden_warnings",
    type: "gauge",
    help: "Whether a warning is shown, as in loden status. " +
      "One that is only the consequence of another is 0.",
    labels: {
      code: Object.keys(warningDefinitions),
      severity: ["error", "warning"],
    },
  },
  {
    name: "loden_log_records_total",
    type: "counter",
    help: "Lines of the log, by level, without debug.",
    labels: { level: LOG_LEVELS },
  },
  {
    name: "loden_datapath_info",
    type: "gauge",
    help: "Always 1. How packets reach other hosts, and the overlay device.",
    labels: {
      backend: BACKENDS.specs.map(({ type }) => type),
      path: "as in loden status: ebpf, tun, kernel VXLAN, ...",
      interface: "the overlay device; empty without one",
    },
  },
  {
    name: "loden_datapath_restarts_total",
    type: "counter",
    help: "How often the backend was started again after a failure.",
  },
  {
    name: "loden_lease_info",
    type: "gauge",
    help: "Always 1, while this host has a subnet.",
    labels: { subnet: "of this host" },
  },
  {
    name: "loden_lease_held",
    type: "gauge",
    help: "Whether etcd has confirmed the lease: state held or renewing.",
  },
  {
    name: "loden_lease_expiry_timestamp_seconds",
    type: "gauge",
    help: "When the lease ends without renewal. None for a reservation.",
  },
  {
    name: "loden_lease_renew_margin_seconds",
    type: "gauge",
    help: "How long before its end the lease is renewed.",
  },
  {
    name: "loden_lease_renewals_total",
    type: "counter",
    help: "Attempts to renew the lease or change its value.",
    labels: { result: RENEWAL_RESULTS },
  },
  {
    name: "loden_lease_losses_total",
    type: "counter",
    help: "How often the lease was lost while the agent ran.",
    labels: { cause: LOSS_CAUSES },
  },
  {
    name: "loden_etcd_up",
    type: "gauge",
    help: "Whether etcd answers and accepts what the agent asks.",
  },
  {
    name: "loden_etcd_last_contact_timestamp_seconds",
    type: "gauge",
    help: "When etcd last answered a request or reported a change.",
  },
  {
    name: "loden_etcd_requests_total",
    type: "counter",
    help: "Requests to etcd.",
    labels: { op: REGISTRY_CALLS, result: RESULTS },
  },
  {
    name: "loden_etcd_request_duration_seconds",
    type: "histogram",
    help: "How long requests to etcd took, failed ones included.",
    labels: { op: REGISTRY_CALLS },
  },
  {
    name: "loden_etcd_watch_resyncs_total",
    type: "counter",
    help: "How often the watch of all leases ended and they were listed again.",
    labels: { cause: RESYNC_CAUSES },
  },
  {
    name: "loden_network_subnets",
    type: "gauge",
    help: "How many subnets the network config allows.",
  },
  {
    name: "loden_network_subnets_used",
    type: "gauge",
    help: "How many of them are leased: by this host and its peers.",
  },
  {
    name: "loden_peers",
    type: "gauge",
    help: "Other hosts. Unreachable: probes are not answered. " +
      "Stale: gone from etcd, kept for the grace period. " +
      "Ignored: the backend does not serve them. Up: all others.",
    labels: { state: ["up", "stale", "unreachable", "ignored"] },
  },
  {
    name: "loden_peers_apply_duration_seconds",
    type: "histogram",
    help: "How long changes of the peers took to reach the data path.",
  },
  {
    name: "loden_packets_total",
    type: "counter",
    help: "Packets of the overlay, to and from other hosts.",
    labels: { direction: DIRECTIONS },
    otel: "system.network.packet.count",
  },
  {
    name: "loden_bytes_total",
    type: "counter",
    help: "Their bytes, without the outer headers.",
    labels: { direction: DIRECTIONS },
    otel: "system.network.io",
  },
  {
    name: "loden_super_packets_total",
    type: "counter",
    help:
      "Of these, packets that passed merged (TSO, GRO), before they were cut.",
    labels: { direction: DIRECTIONS },
  },
  {
    name: "loden_dropped_packets_total",
    type: "counter",
    help:
      "Dropped packets. The reasons are those of the counters in loden status.",
    labels: { direction: DIRECTIONS, reason: DROP_REASONS },
    otel: "system.network.packet.dropped",
  },
  {
    name: "loden_sender_mismatch_passed_total",
    type: "counter",
    help: "Packets accepted only because of --sender-check=count.",
  },
  {
    name: "loden_peer_packets_total",
    type: "counter",
    help: "Packets to and from a peer, with the kernel data path.",
    labels: { ...PEER, direction: DIRECTIONS },
    isPerPeer: true,
  },
  {
    name: "loden_peer_bytes_total",
    type: "counter",
    help: "Their bytes, without the outer headers.",
    labels: { ...PEER, direction: DIRECTIONS },
    isPerPeer: true,
  },
  {
    name: "loden_peer_up",
    type: "gauge",
    help: "Whether a peer answers probes. None while that is unknown.",
    labels: PEER,
    isPerPeer: true,
  },
  {
    name: "loden_peer_rtt_seconds",
    type: "gauge",
    help: "Round trip through the overlay, smoothed.",
    labels: PEER,
    isPerPeer: true,
  },
  {
    name: "loden_peer_loss_ratio",
    type: "gauge",
    help: "Share of the last probes without an answer, 0 to 1.",
    labels: PEER,
    isPerPeer: true,
  },
  {
    name: "loden_peer_mtu_bytes",
    type: "gauge",
    help: "The largest packet that reached the peer unfragmented.",
    labels: PEER,
    isPerPeer: true,
  },
  {
    name: "loden_peer_last_seen_timestamp_seconds",
    type: "gauge",
    help: "When the peer last answered a probe.",
    labels: PEER,
    isPerPeer: true,
  },
  {
    name: "loden_path_mtu_learned_total",
    type: "counter",
    help: "How often a router reported a smaller path MTU to a peer.",
  },
  {
    name: "loden_overlay_repairs_total",
    type: "counter",
    help:
      "How often another program changed the overlay device, its routes or " +
      "its entries, and they were restored.",
  },
  {
    name: "loden_firewall_changes_total",
    type: "counter",
    help:
      "How often firewall rules were set or restored, at the start as well.",
    labels: { kind: ["rules", "anti_spoofing", "docker"] },
  },
  {
    name: "loden_firewall_rules_missing",
    type: "gauge",
    help: "Kinds of firewall rules that are wanted and not in place.",
  },
  {
    name: "loden_overlay_mtu_bytes",
    type: "gauge",
    help: "The MTU that containers get.",
  },
  {
    name: "loden_underlay_mtu_bytes",
    type: "gauge",
    help: "The MTU of the underlay interface.",
  },
  {
    name: "loden_config_reloads_total",
    type: "counter",
    help:
      "Network configs from etcd that were applied or refused while running.",
    labels: { result: ["ok", "refused"] },
  },
  {
    name: "loden_config_last_reload_successful",
    type: "gauge",
    help: "0 while the published network config is refused.",
  },
  {
    name: "process_start_time_seconds",
    type: "gauge",
    help: "When the process started.",
  },
  {
    name: "process_cpu_seconds_total",
    type: "counter",
    help: "Processor time of the process.",
    otel: "process.cpu.time",
  },
  {
    name: "process_resident_memory_bytes",
    type: "gauge",
    help: "Resident memory of the process.",
    otel: "process.memory.usage",
  },
  {
    name: "process_open_fds",
    type: "gauge",
    help: "Open file descriptors of the process.",
    otel: "process.open_file_descriptor.count",
  },
] as const satisfies readonly Metric[];

/** The name of a metric. */
export type MetricName = typeof CATALOGUE[number]["name"];
