/**
 * A real Prometheus scrapes two agents, and tells when something is wrong.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { CATALOGUE } from "../../agent/metrics/catalogue.ts";
import { Daemon } from "../rig/daemon.ts";
import { innerPacket } from "../support/inner_packet.ts";
import { declaredTypes, readSeries } from "../support/metrics_text.ts";
import { EACH_PAIR } from "./data_paths.ts";
import { eventually } from "./overlay.ts";
import { OverlaySuite } from "./overlay_suite.ts";
import { assertPings } from "./traffic.ts";

const PORT = 9285;
const PROMETHEUS = "127.0.0.1:9090";
const PACKAGING = new URL("../../packaging/", import.meta.url);

const suite = new OverlaySuite("metrics", {
  flags: [`--metrics-port=${PORT}`, "--metrics-ip=0.0.0.0", "--metrics-peers"],
});

/** Asks a host's agent over TCP, from that host. */
function ask(index: number, request: readonly string[]): Promise<string> {
  return suite.node(index).host.namespace.run([
    "bash",
    "-ec",
    `exec 3<>/dev/tcp/127.0.0.1/${PORT}
     printf '%s\\r\\n' "$@" '' >&3
     cat <&3`,
    "bash",
    ...request,
  ]);
}

async function scrape(index: number, accept = "text/plain"): Promise<string> {
  const answer = await ask(index, [
    "GET /metrics HTTP/1.1",
    "Host: localhost",
    `Accept: ${accept}`,
  ]);
  assertStringIncludes(answer, "HTTP/1.1 200 OK\r\n");
  return answer.slice(answer.indexOf("\r\n\r\n") + 4);
}

interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [seconds: number, value: string];
}

/** What an expression gives. Prometheus runs on the first host. */
async function query(expression: string): Promise<Sample[]> {
  const text = await suite.node(0).host.namespace.run([
    ...["promtool", "query", "instant", "--format=json"],
    `http://${PROMETHEUS}`,
    expression,
  ]);
  return JSON.parse(text);
}

/** Waits until an alert fires, for these hosts. */
async function fires(alert: string, instances: readonly string[]) {
  await eventually(
    alert,
    () => query(`ALERTS{alertname="${alert}",alertstate="firing"}`),
    (samples) =>
      samples.map(({ metric }) => metric.instance).sort().join() ===
        instances.toSorted().join(),
    30_000,
  );
}

/** The expressions of the dashboard, with values for its variables. */
function dashboardExpressions(): string[] {
  const { panels } = JSON.parse(
    Deno.readTextFileSync(new URL("grafana/dashboards/loden.json", PACKAGING)),
  ) as { panels: { targets?: { expr: string }[] }[] };
  return panels.flatMap(({ targets = [] }) => targets).map(({ expr }) =>
    expr.replaceAll("$job", "loden").replaceAll("$instance", ".*")
      .replaceAll("$__rate_interval", "10s")
  );
}

/**
 * Starts Prometheus on the first host: a scrape a second, the rules of the packages
 * without the time for which they must hold, and the dashboard's expressions.
 */
async function startPrometheus(): Promise<Daemon> {
  const directory = `${suite.rig.directory}/prometheus`;
  await Deno.mkdir(directory);
  const rules = Deno.readTextFileSync(
    new URL("prometheus/loden.rules.yml", PACKAGING),
  );
  await Deno.writeTextFile(
    `${directory}/loden.rules.yml`,
    rules.replaceAll(/^( +)for: .*$/gm, "$1for: 0s"),
  );
  await Deno.writeTextFile(
    `${directory}/dashboard.rules.yml`,
    JSON.stringify({
      groups: [{
        name: "dashboard",
        rules: dashboardExpressions().map((expr, index) => ({
          record: `dashboard:${index}`,
          expr,
        })),
      }],
    }),
  );
  await Deno.writeTextFile(
    `${directory}/prometheus.yml`,
    JSON.stringify({
      global: { scrape_interval: "1s", evaluation_interval: "1s" },
      rule_files: ["loden.rules.yml", "dashboard.rules.yml"],
      scrape_configs: [{
        job_name: "loden",
        static_configs: [{ targets: [instance(0), instance(1)] }],
      }],
    }),
  );
  const prometheus = new Daemon({
    name: "Prometheus",
    command: [
      ...suite.node(0).host.namespace.commandPrefix,
      "prometheus",
      `--config.file=${directory}/prometheus.yml`,
      `--storage.tsdb.path=${directory}/data`,
      `--web.listen-address=${PROMETHEUS}`,
    ],
    logFile: `${directory}/log`,
  });
  await prometheus.untilLogged(/Server is ready/, 20_000);
  return prometheus;
}

function instance(index: number): string {
  return `${suite.node(index).host.address}:${PORT}`;
}

/** What compares has no value while nothing is wrong. */
const COMPARES = / (>|==) \d+$/;

const SETUPS = EACH_PAIR.filter(({ dataPaths: [first, second] }) =>
  first === "ebpf" && second === "tun"
);

suite.each(SETUPS, (test) => {
  test("each agent answers with every metric, and promtool finds nothing wrong", async () => {
    for (const index of [0, 1]) {
      const text = await scrape(index);
      assertEquals(
        [...declaredTypes(text)],
        CATALOGUE.map(({ name, type }) => [name, type]),
      );
      const file = `${suite.rig.directory}/metrics-${index}`;
      await Deno.writeTextFile(file, text);
      await suite.node(index).host.namespace.run([
        ...["sh", "-c", `promtool check metrics <${file}`],
      ]);
      const ready = readSeries(text).find(({ name }) => name === "loden_ready");
      assertEquals(ready?.value, 1);
    }
    const open = await scrape(0, "application/openmetrics-text");
    assert(open.endsWith("\n# EOF\n"));
  });

  test("a page of another name cannot read them", async () => {
    assertStringIncludes(
      await ask(0, ["GET /metrics HTTP/1.1", "Host: evil.example"]),
      "HTTP/1.1 421 ",
    );
  });

  test("Prometheus reads both agents, and the dashboard's expressions have values", async () => {
    await using _prometheus = await startPrometheus();
    const [first, second] = [suite.node(0), suite.node(1)];
    await eventually(
      "both agents",
      () => query('up{job="loden"} == 1'),
      (samples) => samples.length === 2,
      20_000,
    );
    await assertPings(first.container.namespace, second.container.address);
    const expressions = dashboardExpressions();
    await eventually(
      "a value of each expression: none of these has one",
      async () => {
        const samples = await query(
          'count by (__name__) ({__name__=~"dashboard:.*"})',
        );
        const names = samples.map(({ metric }) => metric.__name__);
        return expressions.filter((expression, index) =>
          !COMPARES.test(expression) && !names.includes(`dashboard:${index}`)
        );
      },
      (missing) => missing.length === 0,
      20_000,
    );
    await eventually(
      "packets in both directions",
      () => query("loden_packets_total > 0"),
      (samples) => samples.length === 4,
    );
    assertEquals(await query('ALERTS{alertstate="firing"}'), []);

    await sendAsStranger(first.host.address);
    await second.agent.stop();
    await fires("LodenDropsUnknownSender", [instance(0)]);
    await fires("LodenDown", [instance(1)]);
    await fires("LodenPeerUnreachable", [instance(0)]);
  });
});

/** Overlay packets from a machine that holds no lease. */
async function sendAsStranger(address: string): Promise<void> {
  const file = `${suite.rig.directory}/stranger`;
  await Deno.writeFile(
    file,
    innerPacket({ source: "10.1.200.2", destination: "10.1.201.2" }),
  );
  await suite.rig.switch.run([
    ...["bash", "-ec"],
    `for i in {1..200}; do cat ${file} >/dev/udp/${address}/8285; done`,
  ]);
}
