/**
 * What Prometheus and Grafana are given names only what the agent has.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { parse } from "@std/yaml";
import { commandTable } from "../../../commands/table.ts";
import { newAgentState } from "../../support/agent_state.ts";
import {
  ADDED_LABELS,
  metricOf,
  SERIES_NAME,
  unknownIn,
} from "../../support/metric_names.ts";
import {
  declaredTypes,
  metricsText,
  newMetrics,
} from "../../support/metrics_text.ts";

const ROOT = new URL("../../../", import.meta.url);

function read(path: string): string {
  return Deno.readTextFileSync(new URL(path, ROOT));
}

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<string, string>>;
}

const ALERTS = (parse(read("packaging/prometheus/loden.rules.yml")) as {
  groups: { rules: Alert[] }[];
}).groups.flatMap(({ rules }) => rules);

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly datasource?: unknown;
  readonly targets?: readonly {
    readonly expr: string;
    readonly legendFormat: string;
  }[];
}

const DASHBOARD = JSON.parse(
  read("packaging/grafana/dashboards/loden.json"),
) as {
  readonly uid: string;
  readonly id: null;
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string }[];
  };
  readonly panels: readonly Panel[];
};

/** Every expression, and the words that are only shown. */
const EXPRESSIONS = [
  ...ALERTS.map(({ alert, expr }) => ({ where: alert, expr })),
  ...DASHBOARD.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({ where: title, expr }))
  ),
];

Deno.test("every metric, label and value in the rules and the dashboard is one of the agent's", async () => {
  const text = await metricsText(
    newAgentState(),
    newMetrics(undefined, { perPeer: true }),
  );
  const declared = declaredTypes(text);
  let names = 0;
  for (const { where, expr } of EXPRESSIONS) {
    assertEquals(unknownIn(expr), [], `${where}: ${expr}`);
    for (const [, name] of expr.matchAll(SERIES_NAME)) {
      names++;
      assert(declared.has(metricOf(name!)!.name), name);
    }
  }
  assert(names > 30);
});

Deno.test("a wrong name, label or value would be found", () => {
  assertEquals(unknownIn("rate(loden_packet_total[5m])"), [
    "loden_packet_total",
  ]);
  assertEquals(unknownIn('loden_peers{status="up"}'), ["loden_peers{status}"]);
  assertEquals(unknownIn('loden_peers{state=~"up|down",job="x"}'), [
    'loden_peers{state="down"}',
  ]);
});

Deno.test("labels by which the dashboard and the rules group are those of their metrics", () => {
  for (const { where, expr } of EXPRESSIONS) {
    const labels = [...expr.matchAll(SERIES_NAME)].flatMap(([, name]) =>
      Object.keys(metricOf(name!)!.labels ?? {})
    );
    for (const [, words] of expr.matchAll(/\bby \(([^)]*)\)/g)) {
      for (const word of words!.split(",").map((each) => each.trim())) {
        assert(
          [...ADDED_LABELS, "le", ...labels].includes(word),
          `${where}: ${word}`,
        );
      }
    }
  }
});

Deno.test("labels in a legend are those of the panel's metrics", () => {
  for (const { targets = [], title } of DASHBOARD.panels) {
    for (const { expr, legendFormat } of targets) {
      const labels = [...expr.matchAll(SERIES_NAME)].flatMap(([, name]) =>
        Object.keys(metricOf(name!)!.labels ?? {})
      );
      for (const [, word] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
        assert(
          [...ADDED_LABELS, ...labels].includes(word!),
          `${title}: ${word}`,
        );
      }
    }
  }
});

Deno.test("every alert says what happened, what it means and what to type, in a command that exists", () => {
  assertEquals(ALERTS.map(({ alert }) => alert), [
    "LodenDown",
    "LodenLeaseExpiresSoon",
    "LodenEtcdAway",
    "LodenPeerUnreachable",
    "LodenDropsUnknownSender",
    "LodenMtuMismatch",
    "LodenSubnetsLow",
    "LodenFirewallMissing",
  ]);
  for (const { alert, annotations, labels } of ALERTS) {
    assert(["critical", "warning", "info"].includes(labels.severity), alert);
    assert(annotations.summary!.length > 10, alert);
    assert(annotations.description!.length > 40, alert);
    const command = annotations.command!;
    if (!command.startsWith("loden ")) continue;
    assert(
      commandTable.some(({ name }) =>
        `${command} `.startsWith(`loden ${name} `)
      ),
      command,
    );
  }
});

Deno.test("the page about metrics has every alert with its severity and command", () => {
  const page = read("docs/metrics.md").replaceAll(/ +/g, " ");
  for (const { alert, annotations, labels } of ALERTS) {
    const row = page.split("\n").find((line) =>
      line.startsWith(`| \`${alert}\` |`)
    );
    assert(row !== undefined, alert);
    assertStringIncludes(
      row,
      `| ${labels.severity} | \`${annotations.command}\` |`,
    );
  }
});

Deno.test("the dashboard can be provisioned: fixed uid, no id, one data source by a variable, panels that do not overlap", () => {
  assertEquals([DASHBOARD.uid, DASHBOARD.id], ["loden-overview", null]);
  assertEquals(
    DASHBOARD.templating.list.map(({ name }) => name),
    ["datasource", "job", "instance"],
  );
  const ids = DASHBOARD.panels.map(({ id }) => id);
  assertEquals(new Set(ids).size, ids.length);
  for (const { datasource, title, type } of DASHBOARD.panels) {
    if (type === "row") continue;
    assertEquals(
      datasource,
      { type: "prometheus", uid: "${datasource}" },
      title,
    );
  }
});

Deno.test("the example names the rules and the job that they expect", () => {
  const { rule_files, scrape_configs } = parse(
    read("packaging/prometheus/prometheus.yml"),
  ) as { rule_files: string[]; scrape_configs: { job_name: string }[] };
  assertEquals(rule_files, ["loden.rules.yml"]);
  assertEquals(scrape_configs.map(({ job_name }) => job_name), ["loden"]);
  assertStringIncludes(ALERTS[0]!.expr, 'job="loden"');
});

Deno.test("Grafana finds the dashboard where the packages put it", () => {
  const { providers } = parse(
    read("packaging/grafana/provisioning/dashboards/loden.yaml"),
  ) as { providers: { options: { path: string } }[] };
  assertEquals(
    providers[0]!.options.path,
    "/usr/share/loden/grafana/dashboards",
  );
});
