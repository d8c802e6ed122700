/**
 * Whether an agent can hold a socket.
 *
 * @module
 */

import { basename } from "node:path/posix";
import { ifThere, processIds } from "../linux/proc.ts";

/** What the kernel shows of processes. Every call may find that one has ended. */
export interface HolderProcesses {
  /**
   * Whether all processes of the machine are seen: not in a container's own pid
   * namespace, nor with `hidepid`.
   */
  seesAll(): boolean;
  pids(): number[];
  /** `/proc/PID/status`, which every user may read. */
  status(pid: number): string | undefined;
  /** Inodes of its sockets; `undefined` where its descriptors cannot be seen. */
  sockets(pid: number): ReadonlySet<number> | undefined;
  /** The words of its command line. */
  words(pid: number): readonly string[];
}

const CAP_NET_ADMIN = 12n;

/**
 * Whether a process that can be an agent may hold the socket: one of root's with
 * CAP_NET_ADMIN, without which no network can be run. Root in a container has not
 * got it, as Docker starts it. Where the process cannot be looked for, or its
 * descriptors cannot be seen, the answer is yes if its name is Loden's.
 */
export function mayBeAgents(
  inode: number,
  processes: HolderProcesses = procProcesses,
): boolean {
  if (!processes.seesAll()) return true;
  return processes.pids().some((pid) => {
    if (!mayRunNetworks(processes.status(pid))) return false;
    const sockets = processes.sockets(pid);
    return sockets?.has(inode) ?? isNamedLoden(processes.words(pid));
  });
}

function mayRunNetworks(status: string | undefined): boolean {
  if (status === undefined) return false;
  const uids = /^Uid:\s+(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? [];
  const effective = /^CapEff:\s+([0-9a-f]+)$/m.exec(status)?.[1];
  return uids.length === 4 && uids.every((uid) => uid === "0") &&
    effective !== undefined &&
    (BigInt(`0x${effective}`) >> CAP_NET_ADMIN & 1n) === 1n;
}

/** Also under flanneld's name, and from the sources. */
function isNamedLoden(words: readonly string[]): boolean {
  return words.some((word) =>
    ["loden", "flanneld", "cli.ts"].includes(basename(word))
  );
}

/** PROC_PID_INIT_INO, `linux/proc_ns.h`. */
const FIRST_PID_NAMESPACE = "pid:[4026531836]";

const procProcesses: HolderProcesses = {
  seesAll: () =>
    ifThere(() => Deno.readLinkSync("/proc/self/ns/pid")) ===
      FIRST_PID_NAMESPACE &&
    ifThere(() => Deno.readTextFileSync("/proc/1/status")) !== undefined,
  pids: processIds,
  status: (pid) => ifThere(() => Deno.readTextFileSync(`/proc/${pid}/status`)),
  sockets: (pid) =>
    ifThere(() => {
      const inodes = new Set<number>();
      for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
        const target = ifThere(() =>
          Deno.readLinkSync(`/proc/${pid}/fd/${name}`)
        );
        const match = /^socket:\[([0-9]+)\]$/.exec(target ?? "");
        if (match !== null) inodes.add(Number(match[1]));
      }
      return inodes;
    }),
  words: (pid) =>
    ifThere(() => Deno.readTextFileSync(`/proc/${pid}/cmdline`))?.split("\0") ??
      [],
};
