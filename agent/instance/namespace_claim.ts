/**
 * One agent, or one cleanup, per network and network namespace.
 *
 * The claim is a name in the abstract space of unix sockets: it belongs to the
 * network namespace, ends with the process, and earlier versions use it too. Any
 * user may take such a name, so a claim counts only if an agent can have made it:
 * its socket is root's, and so is a process that may run networks.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { mayBeAgents } from "../../host/socket_holder.ts";
import { NamespaceLock } from "../../linux/namespace_lock.ts";
import { type RandomSource, systemRandom } from "../../linux/random.ts";
import {
  type AbstractSocket,
  abstractSockets,
} from "../../linux/unix_sockets.ts";
import { AgentInNamespaceError } from "../errors.ts";
import type { InstancePaths } from "./instance.ts";

const log = getLogger(["loden", "agent"]);

/** What the claim is judged by. */
export interface ClaimComponents {
  readonly random: RandomSource;
  /** Whether a socket of root's can be an agent's. */
  readonly mayBeAgents: (inode: number) => boolean;
}

const ROOT = 0;

/**
 * Takes `loden/NAME`. If another user's process has that name, takes one that
 * nobody can have taken before, `loden/NAME/RANDOM`; then looks at all names of the
 * network. Because each agent takes its name before it looks, of two that start at
 * once at most one goes on.
 *
 * @throws {AgentInNamespaceError} if another process serves the network here.
 */
export function claimNamespace(
  { name, runDir }: InstancePaths,
  etcdPrefix: string,
  components: ClaimComponents = { random: systemRandom, mayBeAgents },
): Disposable {
  const plain = `loden/${name}`;
  const lock = NamespaceLock.acquire(plain) ??
    NamespaceLock.acquire(`${plain}/${components.random.bytes(16).toHex()}`);
  if (lock === undefined) throw new AgentInNamespaceError(etcdPrefix, runDir);
  const others = abstractSockets().filter(({ name, inode }) =>
    (name === plain || name.startsWith(`${plain}/`)) && inode !== lock.inode
  );
  const isClaim = ({ uid, inode }: AbstractSocket) =>
    (uid === undefined || uid === ROOT) && components.mayBeAgents(inode);
  if (others.some(isClaim)) {
    lock[Symbol.dispose]();
    throw new AgentInNamespaceError(etcdPrefix, runDir);
  }
  if (others.length > 0) {
    log.warn("a process that is no agent has this network's socket name", {
      event: "agent.claim-ignored",
      names: others.map((other) => `@${other.name}`).join(" "),
      uids: [...new Set(others.map(({ uid }) => uid))].join(" "),
    });
  }
  return lock;
}
