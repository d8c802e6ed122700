/**
 * Reads the state of a running agent.
 *
 * @module
 */

import { fetchFailure } from "../../deno27/fetch_error.ts";
import * as v from "valibot";
import { jsonIn } from "../../net/schemas.ts";
import {
  AgentAccessError,
  AgentAnswerError,
  AgentNotRunningError,
} from "../errors.ts";
import type { StatusSnapshot } from "./status_snapshot.ts";

/**
 * @throws {AgentNotRunningError} if nothing listens on the socket.
 * @throws {AgentAccessError} if this user may not open it.
 * @throws {AgentAnswerError} if the answer is not a status.
 */
export async function fetchStatus(
  socketPath: string,
  signal: AbortSignal,
): Promise<StatusSnapshot> {
  const { text } = await fetchPath(socketPath, "/status", signal);
  const answer = jsonIn(text);
  if (!v.is(statusSchema, answer)) {
    throw new AgentAnswerError(socketPath, text);
  }
  return answer as unknown as StatusSnapshot;
}

/**
 * The metrics as Prometheus' text, without those of the process.
 *
 * @throws as {@linkcode fetchStatus} does.
 */
export async function fetchMetrics(
  socketPath: string,
  signal: AbortSignal,
): Promise<string> {
  const { isOk, text } = await fetchPath(socketPath, "/metrics", signal);
  if (!isOk) throw new AgentAnswerError(socketPath, text);
  return text;
}

/**
 * What the agent answers at a path.
 *
 * @throws {AgentNotRunningError | AgentAccessError}
 */
export async function fetchPath(
  socketPath: string,
  path: string,
  signal: AbortSignal,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly isOk: boolean; readonly text: string }> {
  using client = Deno.createHttpClient({
    proxy: { transport: "unix", path: socketPath },
  });
  try {
    // An address, because a name would be resolved although nothing is sent to
    // it; without DNS that takes too long.
    const response = await fetch(`http://127.0.0.1${path}`, {
      client,
      headers,
      signal,
    });
    return { isOk: response.ok, text: await response.text() };
  } catch (error) {
    signal.throwIfAborted();
    throw connectionError(socketPath, error);
  }
}

/** Later versions of the schema only add fields. */
const statusSchema = v.looseObject({ schema: v.literal(1) });

/** Classifies a failed fetch over the socket. The errno is in its text. */
export function connectionError(
  socketPath: string,
  error: unknown,
): AgentAccessError | AgentNotRunningError {
  return fetchFailure(error).includes("(os error 13)")
    ? new AgentAccessError(socketPath, error)
    : new AgentNotRunningError(socketPath, error);
}
