/**
 * Asks a running agent for its state.
 *
 * @module
 */

import { fetchFailure } from "../../deno27/fetch_error.ts";
import * as v from "valibot";
import {
  AgentAccessError,
  AgentAnswerError,
  AgentNotRunningError,
} from "../errors.ts";
import type { StatusSnapshot } from "./state.ts";

/**
 * @throws {AgentNotRunningError} when nothing listens on the socket.
 * @throws {AgentAccessError} when this user may not open it.
 * @throws {AgentAnswerError} when the answer is no status.
 */
export async function fetchStatus(
  socketPath: string,
  signal: AbortSignal,
): Promise<StatusSnapshot> {
  using client = Deno.createHttpClient({
    proxy: { transport: "unix", path: socketPath },
  });
  let text: string;
  try {
    // An address, since a name would be looked up, although nothing is sent to
    // it: where DNS is away, that takes longer than anybody waits.
    const response = await fetch("http://127.0.0.1/status", {
      client,
      signal,
    });
    text = await response.text();
  } catch (error) {
    signal.throwIfAborted();
    throw connectionError(socketPath, error);
  }
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new AgentAnswerError(socketPath, text);
  }
  if (!v.is(statusSchema, answer)) {
    throw new AgentAnswerError(socketPath, text);
  }
  return answer as unknown as StatusSnapshot;
}

/** Later versions of the schema only add fields. */
const statusSchema = v.looseObject({ schema: v.literal(1) });

/** What a failed fetch over the socket means. The errno is in its text. */
export function connectionError(
  socketPath: string,
  error: unknown,
): AgentAccessError | AgentNotRunningError {
  return fetchFailure(error).includes("(os error 13)")
    ? new AgentAccessError(socketPath, error)
    : new AgentNotRunningError(socketPath, error);
}
