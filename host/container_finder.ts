/**
 * Finds the process in whose network namespace an address is: a container's, of
 * whatever program that runs containers.
 *
 * `/proc/PID/net` belongs to the namespace of the process and can be read without
 * entering it.
 *
 * @module
 */

import { isProcessGone, processIds } from "../linux/proc.ts";
import { formatIpv4, type Ipv4 } from "../net/ipv4.ts";
import { networkNamespaceOf } from "./network_namespace.ts";

/** What is read of the host. Methods throw what the system answers. */
export interface ProcessTable {
  /** All process ids. */
  pids(): readonly number[];
  /** A number that all processes in one network namespace share. */
  namespaceOf(pid: number | "self"): number;
  /** `/proc/PID/NAME`. */
  read(pid: number, name: string): string;
  /** Whether there are namespaces with names, which may have no process. */
  hasNamedNamespaces(): boolean;
}

/** A process, the first of its namespace. */
export interface NamespaceHolder {
  readonly pid: number;
  /** The name of its command. */
  readonly command: string;
}

/** What was found. */
export interface NamespaceSearch {
  readonly holders: readonly NamespaceHolder[];
  /** Whether every namespace was looked at. */
  readonly isComplete: boolean;
}

/** Namespaces other than this process's that have the address. */
export function findNamespaces(
  address: Ipv4,
  table: ProcessTable = hostProcesses,
): NamespaceSearch {
  const own = table.namespaceOf("self");
  const looked = new Set([own]);
  const holders: NamespaceHolder[] = [];
  let isComplete = !table.hasNamedNamespaces();
  for (const pid of table.pids()) {
    try {
      const namespace = table.namespaceOf(pid);
      if (looked.has(namespace)) continue;
      const addresses = table.read(pid, "net/fib_trie");
      looked.add(namespace);
      if (!hasAddress(addresses, address)) continue;
      holders.push({ pid, command: table.read(pid, "comm").trim() });
    } catch (error) {
      if (!isProcessGone(error)) throw error;
      // A process that has ended hides nothing; another user's may.
      if (!(error instanceof Deno.errors.NotFound)) isComplete = false;
    }
  }
  return { holders, isComplete };
}

/** Local addresses stand in the trie with this line below them. */
function hasAddress(trie: string, address: Ipv4): boolean {
  const text = formatIpv4(address).replaceAll(".", "\\.");
  return new RegExp(`-- ${text}\\n\\s+/32 host LOCAL`).test(trie);
}

const NAMED = ["/run/netns", "/var/run/netns"];

const hostProcesses: ProcessTable = {
  pids: processIds,
  namespaceOf: networkNamespaceOf,
  read: (pid, name) => Deno.readTextFileSync(`/proc/${pid}/${name}`),
  hasNamedNamespaces: () =>
    NAMED.some((path) => {
      try {
        return [...Deno.readDirSync(path)].length > 0;
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return false;
        // There may be some that this user may not see.
        if (isProcessGone(error)) return true;
        throw error;
      }
    }),
};
