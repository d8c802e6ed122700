/**
 * Asks the running agent, and names one that does not answer.
 *
 * @module
 */

import { AgentNotRunningError, AgentSilentError } from "../agent/errors.ts";
import type { InstancePaths } from "../agent/instance/instance.ts";
import { InstanceLock } from "../agent/instance/instance_lock.ts";

/** With its own start, a command that only asks is done within a second. */
const LIMIT_MS = 800;

/** How long to wait. */
export interface AskOptions {
  readonly limitMs?: number;
  /** Ends the wait before; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Runs `ask`, which throws what is wrong with the answer.
 *
 * @throws {AgentSilentError} if a running agent does not answer in time.
 * @throws {AgentNotRunningError} if none runs.
 */
export async function askAgent<T>(
  paths: InstancePaths,
  ask: (socketPath: string, signal: AbortSignal) => Promise<T>,
  { limitMs = LIMIT_MS, signal }: AskOptions = {},
): Promise<T> {
  const limit = AbortSignal.timeout(limitMs);
  try {
    const ending = signal ? AbortSignal.any([signal, limit]) : limit;
    return await ask(paths.socket, ending);
  } catch (error) {
    signal?.throwIfAborted();
    if (!limit.aborted) throw error;
    const holder = InstanceLock.holder(paths);
    throw holder === undefined
      ? new AgentNotRunningError(paths.socket)
      : new AgentSilentError(paths.socket, limitMs, holder.pid);
  }
}
