import { assert, assertEquals, assertMatch } from "@std/assert";
import { CATALOGUE } from "../../../../agent/metrics/catalogue.ts";
import { collect } from "../../../../agent/metrics/collect.ts";
import type { Metric } from "../../../../agent/metrics/metric.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { bringUp, newAgentState, PEER } from "../../../support/agent_state.ts";
import {
  COUNTING_BACKEND,
  declaredTypes,
  metricsText,
  newMetrics,
  readSeries,
} from "../../../support/metrics_text.ts";

const METRICS: readonly Metric[] = CATALOGUE;

/** The values of a metric by its labels, as text. */
function values(text: string, name: string): Record<string, number> {
  return Object.fromEntries(
    readSeries(text).filter((series) => series.name === name)
      .map(({ labels, value }) => [Object.values(labels).join(), value]),
  );
}

Deno.test("names, types and labels follow Prometheus' conventions", () => {
  const names = METRICS.map(({ name }) => name);
  assertEquals(new Set(names).size, names.length);
  for (const { help, labels = {}, name, type } of METRICS) {
    assertMatch(name, /^(loden|process)(_[a-z0-9]+)+$/);
    assertEquals(name.endsWith("_total"), type === "counter", name);
    assert(!/["\n\\]/.test(help), name);
    for (const [label, words] of Object.entries(labels)) {
      assertMatch(label, /^[a-z]+$/);
      if (typeof words === "string") continue;
      assert(words.length > 0 && words.length <= 64, `${name} ${label}`);
      assertEquals(new Set(words).size, words.length, name);
    }
  }
});

Deno.test("every metric is declared with its type, before the agent has anything to say", async () => {
  const text = await metricsText(newAgentState());
  assertEquals(
    [...declaredTypes(text)],
    METRICS.filter(({ isPerPeer }) => !isPerPeer)
      .map(({ name, type }) => [name, type]),
  );
  assertEquals(values(text, "loden_ready"), { "": 0 });
  assertEquals(values(text, "loden_etcd_up"), { "": 0 });
  assertEquals(values(text, "loden_overlay_mtu_bytes"), {});
  assertEquals(values(text, "loden_lease_expiry_timestamp_seconds"), {});
});

Deno.test("every series has the labels of its metric, and values from its closed sets", async () => {
  const state = bringUp(newAgentState());
  state.attach({ backend: () => COUNTING_BACKEND });
  const metrics = newMetrics();
  metrics.registry.onCall("list", "no-leader", 0.2);
  metrics.registry.onResync("compacted");
  metrics.registry.onRenewal("failed");
  const families = await collect(state, metrics, { ofProcess: true });
  for (const { metric, samples } of families) {
    const sets: Metric["labels"] = { ...metric.labels };
    for (const { labels = {} } of samples) {
      const names = Object.keys(labels).filter((label) => label !== "le");
      assertEquals(names.sort(), Object.keys(sets).sort(), metric.name);
      for (const name of names) {
        const words = sets[name]!;
        if (typeof words === "string") continue;
        assert(words.includes(labels[name]!), `${metric.name} ${name}`);
      }
    }
  }
});

Deno.test("a network that is up shows its lease, its traffic and its peers", async () => {
  const clock = new FakeClock();
  const state = bringUp(newAgentState(clock), [
    PEER,
    { ...PEER, subnet: "10.1.7.0/24", stale: true },
  ]);
  state.set({
    lease: {
      subnet: "10.1.5.0/24",
      state: "held",
      cause: null,
      causeCode: null,
      since: "2026-01-01T00:00:00.000Z",
      expires: "2026-01-02T00:00:00.000Z",
    },
  });
  state.attach({ subnetCount: () => 255 });
  const metrics = newMetrics(clock);
  metrics.registry.onContact();
  const text = await metricsText(state, metrics);
  assertEquals(values(text, "loden_lease_info"), { "10.1.5.0/24": 1 });
  assertEquals(values(text, "loden_lease_held"), { "": 1 });
  assertEquals(values(text, "loden_lease_expiry_timestamp_seconds"), {
    "": Date.UTC(2026, 0, 2) / 1_000,
  });
  assertEquals(values(text, "loden_etcd_up"), { "": 1 });
  assertEquals(values(text, "loden_etcd_last_contact_timestamp_seconds"), {
    "": Date.UTC(2026, 0, 1) / 1_000,
  });
  // The backend has been given one of the two.
  assertEquals(values(text, "loden_peers"), {
    up: 0,
    stale: 1,
    unreachable: 0,
    ignored: 1,
  });
  assertEquals(values(text, "loden_network_subnets"), { "": 255 });
  assertEquals(values(text, "loden_network_subnets_used"), { "": 3 });
  assertEquals(values(text, "loden_packets_total"), { transmit: 3 });
  assertEquals(values(text, "loden_dropped_packets_total"), {
    "receive,ttl": 0,
  });
  assertEquals(values(text, "loden_datapath_info"), {
    "udp,tun,flannel0": 1,
  });
  assertEquals(values(text, "loden_datapath_restarts_total"), { "": 2 });
});

Deno.test("a warning is 1 while people are shown it; a consequence is 0", async () => {
  const state = bringUp(newAgentState());
  state.raise("firewall.missing", "no tool");
  state.raise("firewall.anti-spoofing-missing", "no tool");
  state.raise("config.refused", "SubnetLen must stay 24");
  const text = await metricsText(state);
  const raised = Object.entries(values(text, "loden_warnings"))
    .filter(([, value]) => value === 1).map(([labels]) => labels);
  assertEquals(raised.sort(), [
    "config.refused,warning",
    "firewall.missing,error",
  ]);
  assertEquals(values(text, "loden_firewall_rules_missing"), { "": 2 });
  assertEquals(values(text, "loden_config_last_reload_successful"), {
    "": 0,
  });
});

Deno.test("what probes say of each peer has series of its own only where they are asked for", async () => {
  const found = {
    since: "2026-01-01T00:00:00.000Z",
    way: "udp",
    rttMs: 1.5,
    lossRatio: 0.25,
    mtuBytes: 1_472,
    lastAnswer: "2026-01-01T00:00:10.000Z",
  } as const;
  const state = bringUp(newAgentState(), [
    { ...PEER, subnet: "10.1.6.0/24", probe: { ...found, state: "reachable" } },
    {
      ...PEER,
      subnet: "10.1.7.0/24",
      probe: {
        ...found,
        state: "unreachable",
        rttMs: null,
        mtuBytes: null,
        lastAnswer: null,
      },
    },
    { ...PEER, subnet: "10.1.8.0/24", probe: null },
  ]);
  const subnet = parseCidr("10.1.6.0/24")!;
  state.attach({
    backend: () => ({ ...COUNTING_BACKEND, peers: 3 }),
    peerTraffic: () => [
      { subnet, txPackets: 1, txBytes: 2, rxPackets: 3, rxBytes: 4 },
    ],
  });
  const text = await metricsText(
    state,
    newMetrics(undefined, { perPeer: true }),
  );
  assertEquals(values(text, "loden_peers"), {
    up: 2,
    stale: 0,
    unreachable: 1,
    ignored: 0,
  });
  assertEquals(values(text, "loden_peer_up"), {
    "10.1.6.0/24": 1,
    "10.1.7.0/24": 0,
  });
  assertEquals(values(text, "loden_peer_rtt_seconds"), {
    "10.1.6.0/24": 0.0015,
  });
  assertEquals(values(text, "loden_peer_loss_ratio"), {
    "10.1.6.0/24": 0.25,
    "10.1.7.0/24": 0.25,
  });
  assertEquals(values(text, "loden_peer_mtu_bytes"), { "10.1.6.0/24": 1_472 });
  assertEquals(values(text, "loden_peer_last_seen_timestamp_seconds"), {
    "10.1.6.0/24": Date.UTC(2026, 0, 1, 0, 0, 10) / 1_000,
  });
  assertEquals(values(text, "loden_peer_packets_total"), {
    "10.1.6.0/24,transmit": 1,
    "10.1.6.0/24,receive": 3,
  });
  assertEquals(values(text, "loden_peer_bytes_total"), {
    "10.1.6.0/24,transmit": 2,
    "10.1.6.0/24,receive": 4,
  });
  assert(!(await metricsText(state)).includes("loden_peer_"));
});

Deno.test("what goes into a file lacks the metrics of the process, which a collector has of its own", async () => {
  const state = newAgentState();
  const all = await collect(state, newMetrics(), { ofProcess: true });
  const some = await collect(state, newMetrics(), { ofProcess: false });
  const missing = all.map(({ metric }) => metric.name)
    .filter((name) => !some.some(({ metric }) => metric.name === name));
  assertEquals(missing, [
    "process_start_time_seconds",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
  ]);
});
