/**
 * Finds flannel's own flanneld on this host.
 *
 * @module
 */

import { basename } from "node:path/posix";
import { ifThere, processIds } from "../linux/proc.ts";
import { networkNamespaceOf } from "./network_namespace.ts";

/**
 * A flanneld that writes the same file or uses the same leases as this agent.
 */
export interface FlanneldProcess {
  readonly pid: number;
  /** What both use, as text: `the subnet file /run/flannel/subnet.env`. */
  readonly shared: string;
}

/** What this agent uses. */
export interface AgentResources {
  readonly subnetFile: string;
  readonly etcdPrefix: string;
}

/** The kernel's list of processes. A process may end between any two calls. */
export interface ProcessTable {
  /** Ids of all processes. */
  pids(): number[];
  /**
   * `cmdline` or `environ` of one, its NUL-separated words. Empty if they
   * cannot be read, such as the environment of a process with more
   * capabilities.
   */
  words(pid: number, file: "cmdline" | "environ"): string[];
  /** The path of its program; `undefined` if it cannot be read. */
  program(pid: number | "self"): string | undefined;
  /** Real, effective, saved and file system user id; `undefined` if it has ended. */
  userIds(pid: number): readonly number[] | undefined;
  /** Its network namespace; `undefined` if it has ended. */
  network(pid: number | "self"): number | undefined;
}

const ROOT = 0;

const DEFAULTS = {
  "subnet-file": "/run/flannel/subnet.env",
  "etcd-prefix": "/coreos.com/network",
} as const;

/**
 * The first flanneld in this network namespace whose subnet file or prefix is
 * ours. Loden under flanneld's name does not count: it has its own lock. A
 * conflict of ports or devices shows when the data path starts.
 *
 * Any user can give a process any name. So a flanneld must be root by all of its
 * user ids, which a set-user-ID program of another user is not, and its executable
 * must have that name if it can be read. Without CAP_SYS_PTRACE it cannot be read
 * when the process has more capabilities than this one; then its owner decides.
 */
export function findFlanneld(
  resources: AgentResources,
  processes: ProcessTable = procProcesses,
): FlanneldProcess | undefined {
  const ourNetwork = processes.network("self");
  const ourProgram = processes.program("self");
  for (const pid of processes.pids()) {
    const [program, ...words] = processes.words(pid, "cmdline");
    if (program === undefined || basename(program) !== "flanneld") continue;
    if (!processes.userIds(pid)?.every((id) => id === ROOT)) continue;
    if (processes.network(pid) !== ourNetwork) continue;
    const path = processes.program(pid);
    if (path === ourProgram) continue;
    if (path !== undefined && !isFlanneld(path)) continue;
    const shared = whatIsShared(
      resources,
      (flag) => valueOf(flag, words, processes.words(pid, "environ")),
    );
    if (shared !== undefined) return { pid, shared };
  }
  return undefined;
}

/** The kernel marks a program that was replaced or removed since it started. */
function isFlanneld(path: string): boolean {
  return basename(path.replace(/ \(deleted\)$/, "")) === "flanneld";
}

function whatIsShared(
  { subnetFile, etcdPrefix }: AgentResources,
  setting: (flag: keyof typeof DEFAULTS) => string,
): string | undefined {
  if (setting("subnet-file") === subnetFile) {
    return `the subnet file ${subnetFile}`;
  }
  const theirs = setting("etcd-prefix").replace(/\/+$/, "");
  return theirs === etcdPrefix ? `the network ${etcdPrefix}` : undefined;
}

/** The command line overrides the environment (compat 1.2). */
function valueOf(
  flag: keyof typeof DEFAULTS,
  words: readonly string[],
  environment: readonly string[],
): string {
  const given = new RegExp(`^--?${flag}(?:=(.*))?$`);
  for (const [index, word] of words.entries()) {
    const match = given.exec(word);
    if (match) return match[1] ?? words[index + 1] ?? "";
  }
  const name = `FLANNELD_${flag.toUpperCase().replaceAll("-", "_")}=`;
  return environment.find((entry) => entry.startsWith(name))
    ?.slice(name.length) || DEFAULTS[flag];
}

const procProcesses: ProcessTable = {
  pids: processIds,
  words: (pid, file) =>
    ifThere(() => Deno.readTextFileSync(`/proc/${pid}/${file}`))
      ?.split("\0").filter((word) => word !== "") ?? [],
  program: (pid) => ifThere(() => Deno.readLinkSync(`/proc/${pid}/exe`)),
  userIds: (pid) => {
    const status = ifThere(() => Deno.readTextFileSync(`/proc/${pid}/status`));
    // Not the owner of /proc/PID: it is root for every process that is not dumpable.
    return /^Uid:(.*)$/m.exec(status ?? "")?.[1]?.trim().split(/\s+/).map(
      Number,
    );
  },
  network: (pid) => ifThere(() => networkNamespaceOf(pid)),
};
