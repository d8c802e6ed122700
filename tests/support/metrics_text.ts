/**
 * What an agent writes at `/metrics`, read again.
 *
 * @module
 */

import { AgentMetrics } from "../../agent/metrics/agent_metrics.ts";
import { collect } from "../../agent/metrics/collect.ts";
import { expose, type Format } from "../../agent/metrics/exposition.ts";
import type { BackendStatus } from "../../backend/backend.ts";
import { PROGRAM_COUNTERS } from "../../backend/udp/ebpf/counters.ts";
import type { AgentState } from "../../agent/status/state.ts";
import { FakeClock } from "../fakes/fake_clock.ts";

/** A backend each of whose counters stands at 1. */
export const COUNTING_BACKEND: BackendStatus = {
  type: "udp",
  dataPath: "ebpf",
  reason: "",
  device: "flannel0",
  peers: 1,
  counters: Object.fromEntries(PROGRAM_COUNTERS.map((name) => [name, 1])),
};

/** The counts of an agent that has just started. */
export function newMetrics(
  clock = new FakeClock(),
  options: { readonly perPeer?: boolean } = {},
): AgentMetrics {
  return new AgentMetrics(clock, {
    version: "0.1.0",
    deno: "2.9.6",
    arch: "x86_64",
    renewMarginSeconds: 3_600,
    perPeer: options.perPeer ?? false,
    revision: () => Promise.resolve("0123abc"),
  });
}

/** The whole text. */
export async function metricsText(
  state: AgentState,
  metrics: AgentMetrics = newMetrics(),
  format: Format = "prometheus",
): Promise<string> {
  return expose(await collect(state, metrics, { ofProcess: true }), format);
}

/** One line of it. */
export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const SERIES = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"(?:,|$)/g;

/** The lines that are not comments. Throws for any other line. */
export function readSeries(text: string): Series[] {
  return text.split("\n").filter((line) => line !== "" && line[0] !== "#")
    .map((line) => {
      const match = SERIES.exec(line);
      if (match === null) throw new TypeError(`not a series: ${line}`);
      const [, name, labels = "", value] = match;
      return {
        name: name!,
        labels: Object.fromEntries(
          [...labels.matchAll(LABEL)].map(([, key, word]) => [key!, word!]),
        ),
        value: Number(value),
      };
    });
}

/** Names that `# TYPE` declares, and what they are. */
export function declaredTypes(text: string): Map<string, string> {
  return new Map(
    [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)]
      .map(([, name, type]) => [name!, type!]),
  );
}
