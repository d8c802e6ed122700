/**
 * One agent, or one cleanup, per network and network namespace.
 *
 * @module
 */

import { NamespaceLock } from "../../linux/namespace_lock.ts";
import { AgentInNamespaceError } from "../errors.ts";
import type { InstancePaths } from "./instance.ts";

/**
 * Beside the lock in the run directory, of which two agents may have one each:
 * devices, routes and rules are the namespace's, and there they would meet.
 *
 * @throws {AgentInNamespaceError} when another process has it.
 */
export function claimNamespace(
  { name, runDir }: InstancePaths,
  etcdPrefix: string,
): Disposable {
  const lock = NamespaceLock.acquire(`loden/${name}`);
  if (lock === undefined) throw new AgentInNamespaceError(etcdPrefix, runDir);
  return lock;
}
