/**
 * Prometheus' own tool reads the metrics and the rules.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { run } from "../../tools/command.ts";
import { bringUp, newAgentState } from "../support/agent_state.ts";
import { unknownIn } from "../support/metric_names.ts";
import {
  COUNTING_BACKEND,
  metricsText,
  newMetrics,
} from "../support/metrics_text.ts";

const PACKAGING = new URL("../../packaging/prometheus/", import.meta.url)
  .pathname;
const RULES = `${PACKAGING}loden.rules.yml`;

Deno.test("promtool finds nothing wrong with the metrics, in names, types and text", async () => {
  const state = bringUp(newAgentState());
  state.attach({ backend: () => COUNTING_BACKEND, subnetCount: () => 255 });
  const metrics = newMetrics(undefined, { perPeer: true });
  metrics.registry.onCall("list", "ok", 0.01);
  metrics.registry.onRenewal("ok");
  metrics.applies.observe({}, 0.01);
  const text = await metricsText(state, metrics);
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${directory}/metrics`, text);
    await run(["sh", "-c", `promtool check metrics <${directory}/metrics`]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("promtool accepts the rules and the example of a configuration", async () => {
  await run(["promtool", "check", "rules", RULES]);
  await run(["promtool", "check", "config", `${PACKAGING}prometheus.yml`]);
});

/** Series by their names in Prometheus, with values a minute. */
type Series = Readonly<Record<string, string>>;

interface Case {
  readonly series: Series;
  /** Fires by then, and not a minute before. */
  readonly at: string;
  readonly before: string;
}

const HOST = 'job="loden",instance="a"';

/** What makes each alert fire. */
const CASES: Readonly<Record<string, Case>> = {
  LodenDown: {
    series: { [`up{${HOST}}`]: "0x10" },
    before: "1m",
    at: "3m",
  },
  LodenLeaseExpiresSoon: {
    // Due at an hour, overdue from 45 minutes before the end at 50 minutes.
    series: {
      [`loden_lease_expiry_timestamp_seconds{${HOST}}`]: "3000x60",
      [`loden_lease_renew_margin_seconds{${HOST}}`]: "3600x60",
    },
    before: "5m",
    at: "8m",
  },
  LodenEtcdAway: {
    series: { [`loden_etcd_up{${HOST}}`]: "0x20" },
    before: "9m",
    at: "11m",
  },
  LodenPeerUnreachable: {
    series: { [`loden_peers{${HOST},state="unreachable"}`]: "1x10" },
    before: "1m",
    at: "3m",
  },
  LodenDropsUnknownSender: {
    series: {
      [
        `loden_dropped_packets_total{${HOST},direction="receive",reason="unknown_sender"}`
      ]: "0+60x10",
    },
    before: "1m",
    at: "4m",
  },
  LodenMtuMismatch: {
    series: {
      [`loden_overlay_mtu_bytes{${HOST}}`]: "1472x20",
      'loden_overlay_mtu_bytes{job="loden",instance="b"}': "8972x20",
    },
    before: "9m",
    at: "11m",
  },
  LodenSubnetsLow: {
    series: {
      [`loden_network_subnets{${HOST}}`]: "255x20",
      [`loden_network_subnets_used{${HOST}}`]: "240x20",
    },
    before: "9m",
    at: "11m",
  },
  LodenFirewallMissing: {
    series: { [`loden_firewall_rules_missing{${HOST}}`]: "1x10" },
    before: "1m",
    at: "3m",
  },
};

/** Another cause of the same alert. */
const NARROW: Series = {
  [`loden_warnings{${HOST},code="peers.path-mtu",severity="warning"}`]: "1x20",
};

/** A host with nothing wrong. */
const HEALTHY: Series = {
  [`up{${HOST}}`]: "1x30",
  [`loden_lease_expiry_timestamp_seconds{${HOST}}`]: "86400x30",
  [`loden_lease_renew_margin_seconds{${HOST}}`]: "3600x30",
  [`loden_etcd_up{${HOST}}`]: "1x30",
  [`loden_peers{${HOST},state="unreachable"}`]: "0x30",
  [
    `loden_dropped_packets_total{${HOST},direction="receive",reason="unknown_sender"}`
  ]: "1000x30",
  [`loden_overlay_mtu_bytes{${HOST}}`]: "1472x30",
  [`loden_network_subnets{${HOST}}`]: "255x30",
  [`loden_network_subnets_used{${HOST}}`]: "3x30",
  [`loden_firewall_rules_missing{${HOST}}`]: "0x30",
  [`loden_warnings{${HOST},code="peers.path-mtu",severity="warning"}`]: "0x30",
};

/** The alerts that fire for series at a time, and no others. */
function firing(series: Series, at: string, alerts: readonly string[]) {
  return {
    interval: "1m",
    input_series: Object.entries(series).map(([name, values]) => ({
      series: name,
      values,
    })),
    promql_expr_test: [{
      expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
      eval_time: at,
      exp_samples: alerts.map((alert) => ({
        labels: `{alertname="${alert}"}`,
        value: 1,
      })),
    }],
  };
}

/** Throws with promtool's words if a test fails. */
async function testRules(tests: readonly unknown[]): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    // JSON is YAML.
    await Deno.writeTextFile(
      `${directory}/test.yml`,
      JSON.stringify({
        rule_files: [RULES],
        evaluation_interval: "1m",
        tests,
      }),
    );
    await run(["promtool", "test", "rules", `${directory}/test.yml`]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("each alert fires for its own cause alone, once it has lasted", async () => {
  for (const { series } of Object.values(CASES)) {
    for (const name of Object.keys(series)) assertEquals(unknownIn(name), []);
  }
  await testRules(
    Object.entries(CASES).flatMap(([alert, { at, before, series }]) => [
      firing(series, before, []),
      firing(series, at, [alert]),
    ]).concat(firing(NARROW, "11m", ["LodenMtuMismatch"])),
  );
});

Deno.test("no alert fires for a host with nothing wrong, and promtool would tell", async () => {
  assert(Object.keys(HEALTHY).length > Object.keys(CASES).length);
  await testRules([firing(HEALTHY, "30m", [])]);
  await assertRejects(() => testRules([firing(HEALTHY, "30m", ["LodenDown"])]));
});
