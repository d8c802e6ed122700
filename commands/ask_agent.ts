/**
 * Asks the running agent, and names one that does not answer.
 *
 * @module
 */

import { AgentNotRunningError, AgentSilentError } from "../agent/errors.ts";
import type { InstancePaths } from "../agent/instance/instance.ts";
import { InstanceLock } from "../agent/instance/instance_lock.ts";

/** With its own start, a command that only asks is done within a second. */
const ANSWER_TIMEOUT_MS = 800;

/**
 * Runs `ask`, which throws what is wrong with the answer.
 *
 * @throws {AgentSilentError} if a running agent does not answer in time.
 * @throws {AgentNotRunningError} if none runs.
 */
export async function askAgent<T>(
  paths: InstancePaths,
  ask: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const timeout = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  try {
    return await ask(timeout);
  } catch (error) {
    if (!timeout.aborted) throw error;
    const holder = InstanceLock.holder(paths);
    throw holder === undefined
      ? new AgentNotRunningError(paths.socket)
      : new AgentSilentError(paths.socket, ANSWER_TIMEOUT_MS, holder.pid);
  }
}
