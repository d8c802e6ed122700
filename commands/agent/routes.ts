/**
 * What the agent answers, by path.
 *
 * @module
 */

import type { AgentMetrics } from "../../agent/metrics/agent_metrics.ts";
import { metricsHandler } from "../../agent/metrics/metrics_route.ts";
import { dataHandler, documentHandler } from "../../agent/page/page_routes.ts";
import type { Handler } from "../../agent/status/request_server.ts";
import type { Routes } from "../../agent/status/routes.ts";
import type { AgentState } from "../../agent/status/state.ts";

/**
 * On the status socket, for this host's root: `loden status` and others.
 *
 * @param others of parts that only the running agent has.
 */
export function socketRoutes(
  state: AgentState,
  metrics?: AgentMetrics,
  others: Routes = new Map(),
): Routes {
  const routes = new Map<string, Handler>([
    ...others,
    ["/status", () => ({
      status: 200,
      body: JSON.stringify(state.snapshot()),
      contentType: "application/json",
    })],
  ]);
  // For the textfile collector, whose own process has metrics of the same names.
  if (metrics) {
    routes.set(
      "/metrics",
      metricsRoute(state, metrics, { ofProcess: false }),
    );
  }
  return routes;
}

/** Beside `/healthz` and `/readyz`, for people and programs on this host. */
export function listenerRoutes(
  state: AgentState,
  metrics: AgentMetrics,
): Routes {
  return new Map<string, Handler>([
    ["/metrics", metricsRoute(state, metrics, { ofProcess: true })],
    ["/", documentHandler()],
    ["/status", dataHandler(state, metrics.clock)],
  ]);
}

function metricsRoute(
  state: AgentState,
  metrics: AgentMetrics,
  options: { readonly ofProcess: boolean },
): Handler {
  return metricsHandler(metrics.clock, async () => {
    const { collect } = await import("../../agent/metrics/collect.ts");
    return await collect(state, metrics, options);
  });
}
