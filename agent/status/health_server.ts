/**
 * `/healthz` and `/readyz`, with flannel's paths, codes and texts (compat 10).
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError, LodenError } from "../../errors.ts";
import { type RetryComponents, retryUntilDone } from "../tasks/retry.ts";
import { type PlainAnswer, RequestServer } from "./request_server.ts";
import type { AgentState } from "./state.ts";

const log = getLogger(["loden", "agent"]);

/** The address is in use or not ours. Another process may release it. */
export class HealthServerError extends LodenError {
  readonly retryable = true;

  constructor(hostname: string, port: number, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(
      "health.listen",
      `Cannot serve /healthz on ${hostname}:${port}: ${reason}`,
      { cause, hint: "choose another --healthz-port or --healthz-ip" },
    );
  }
}

/** What the answers depend on. */
export type HealthSource = Pick<AgentState, "facts" | "notReady" | "unhealthy">;

/** Where to listen. */
export interface HealthServerOptions {
  readonly hostname: string;
  /** 1..65535. */
  readonly port: number;
}

/** The health server. It answers any method, as flannel's does. */
export class HealthServer {
  readonly #server: RequestServer;

  private constructor(server: RequestServer) {
    this.#server = server;
  }

  /** @throws {HealthServerError} if the server cannot listen on the address. */
  static start(
    options: HealthServerOptions,
    state: HealthSource,
  ): HealthServer {
    const { hostname, port } = options;
    try {
      return new HealthServer(
        new RequestServer(
          Deno.listen({ hostname, port }),
          ({ path }) => answerHealth(path, state),
        ),
      );
    } catch (error) {
      throw new HealthServerError(hostname, port, error);
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
  options: HealthServerOptions,
  components: RetryComponents & { readonly state: AgentState },
  signal: AbortSignal,
): Promise<void> {
  const { state } = components;
  const server = await retryUntilDone(
    () => HealthServer.start(options, state),
    components,
    {
      signal,
      maxMs: 30_000,
      onFailure: (error) => {
        if (!state.raise("health.not-served", describeError(error))) return;
        log.warn("health cannot be served", {
          event: "health.not-served",
          error,
        });
      },
    },
  );
  state.clear("health.not-served");
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  if (!signal.aborted) await promise;
  await server.stop();
}

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
      return text(404, "404 page not found");
  }
}

function text(status: number, body: string): PlainAnswer {
  return { status, body };
}
