/**
 * The agent's HTTP server: `/healthz` and `/readyz`, with flannel's paths, codes and
 * texts (compat 10), and the routes that show more, for this host only unless the
 * settings say otherwise.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError, LodenError } from "../../errors.ts";
import { type RetryComponents, retryUntilDone } from "../tasks/retry.ts";
import type { WarningCode } from "./health.ts";
import { type ListenerPlan, reaches } from "./listener_plan.ts";
import { isOwnName } from "./own_name.ts";
import type { PlainAnswer, PlainRequest } from "./http_message.ts";
import { RequestServer } from "./request_server.ts";
import { answerRoute, type Routes } from "./routes.ts";
import type { AgentState } from "./state.ts";

const log = getLogger(["loden", "agent"]);

/** The address is in use or not ours. Another process may release it. */
export class HealthServerError extends LodenError {
  readonly retryable = true;

  constructor({ hostname, port, healthAt }: ListenerPlan, cause: unknown) {
    const [code, path, flag] = healthAt === undefined
      ? ["metrics.listen", "/metrics", "metrics"]
      : ["health.listen", "/healthz", "healthz"];
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(
      code,
      `Cannot serve ${path} on ${hostname}:${port}: ${reason}`,
      { cause, hint: `choose another --${flag}-port or --${flag}-ip` },
    );
  }
}

/** What the answers of `/healthz` and `/readyz` depend on. */
export type HealthSource = Pick<AgentState, "facts" | "notReady" | "unhealthy">;

/** What is served. */
export interface HealthServerComponents {
  readonly state: HealthSource;
  readonly routes: Routes;
  /** This host's name, as of now: DHCP may set it after the start. */
  readonly hostname: () => string;
}

/** One listener. */
export class HealthServer {
  readonly #server: RequestServer;

  private constructor(server: RequestServer) {
    this.#server = server;
  }

  /** @throws {HealthServerError} if the server cannot listen on the address. */
  static start(
    plan: ListenerPlan,
    components: HealthServerComponents,
  ): HealthServer {
    const { hostname, port } = plan;
    try {
      return new HealthServer(
        new RequestServer(
          Deno.listen({ hostname, port }),
          (request) => answer(request, plan, components),
        ),
      );
    } catch (error) {
      throw new HealthServerError(plan, error);
    }
  }

  async stop(): Promise<void> {
    await this.#server.stop();
  }
}

/**
 * Serves until aborted. If the address is in use, it tries again; this never
 * stops the network.
 */
export async function serveHealth(
  plan: ListenerPlan,
  components:
    & RetryComponents
    & Omit<HealthServerComponents, "state">
    & { readonly state: AgentState },
  signal: AbortSignal,
): Promise<void> {
  const { state } = components;
  const code = notServed(plan);
  const server = await retryUntilDone(
    () => HealthServer.start(plan, components),
    components,
    {
      signal,
      maxMs: 30_000,
      onFailure: (error) => {
        if (!state.raise(code, describeError(error))) return;
        if (code === "health.not-served") {
          log.warn("health cannot be served", {
            event: "health.not-served",
            error,
          });
        } else {
          log.warn("metrics cannot be served", {
            event: "metrics.not-served",
            error,
          });
        }
      },
    },
  );
  state.clear(code);
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  if (!signal.aborted) await promise;
  await server.stop();
}

function notServed({ healthAt }: ListenerPlan): WarningCode {
  return healthAt === undefined ? "metrics.not-served" : "health.not-served";
}

/**
 * For every answer of a route: browsers neither guess its type nor show it inside
 * another site, keep it or run anything in it. A route may allow itself more.
 */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

function answer(
  request: PlainRequest,
  { healthAt, routesAt }: ListenerPlan,
  { state, routes, hostname }: HealthServerComponents,
): PlainAnswer | Promise<PlainAnswer> {
  const { path, host } = request;
  const isAt = (address: string | undefined) =>
    address !== undefined && request.ends !== undefined &&
    reaches(address, request.ends);
  // As flannel's: with any method and for any `Host`.
  if (isAt(healthAt) && HEALTH_PATHS.includes(path)) {
    return answerHealth(path, state);
  }
  if (routesAt === undefined || !routes.has(path)) return notFound();
  if (!isAt(routesAt)) {
    return text(
      403,
      `${path} is served on ${routesAt} only: see --metrics-ip\n`,
    );
  }
  if (!isOwnName(host, hostname())) {
    return text(421, "this is another host: use its address or its name\n");
  }
  return answerSafely(request, routes);
}

async function answerSafely(
  request: PlainRequest,
  routes: Routes,
): Promise<PlainAnswer> {
  const answer = await answerRoute(request, routes) ?? notFound();
  return { ...answer, headers: { ...SECURITY_HEADERS, ...answer.headers } };
}

const HEALTH_PATHS: readonly string[] = ["/healthz", "/readyz"];

/**
 * The answer for a path. Unlike flannel's, `/healthz` can fail: if a restart
 * may solve the problem. Waiting for etcd is not such a problem.
 */
export function answerHealth(
  path: string,
  state: HealthSource,
): PlainAnswer {
  switch (path) {
    case "/healthz": {
      const broken = state.unhealthy();
      return broken.length === 0
        ? text(200, "flanneld is running")
        : text(503, broken.map((each) => each.text).join("\n"));
    }
    case "/readyz": {
      if (!state.facts.ready) return text(503, "flanneld is not ready yet");
      const impaired = state.notReady();
      return impaired.length === 0
        ? text(200, "flanneld is ready")
        : text(503, impaired.map((each) => each.text).join("\n"));
    }
    default:
      return notFound();
  }
}

function notFound(): PlainAnswer {
  return text(404, "404 page not found");
}

function text(status: number, body: string): PlainAnswer {
  return { status, body };
}
