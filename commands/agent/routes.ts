/**
 * What the agent answers, by path.
 *
 * @module
 */

import type { Routes } from "../../agent/status/routes.ts";
import type { AgentState } from "../../agent/status/state.ts";

/** On the status socket, for this host's root: `loden status` and others. */
export function socketRoutes(state: AgentState): Routes {
  return new Map([
    ["/status", () => ({
      status: 200,
      body: JSON.stringify(state.snapshot()),
      contentType: "application/json",
    })],
  ]);
}

/** Beside `/healthz` and `/readyz`, for people and programs on this host. */
export function listenerRoutes(): Routes {
  return new Map();
}
