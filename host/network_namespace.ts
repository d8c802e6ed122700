/**
 * Identifies the network namespace of a process.
 *
 * @module
 */

/**
 * A number that all processes in one network namespace share.
 *
 * It is not the target of `/proc/PID/ns/net`: reading that link requires
 * permission to trace the process, and the agent may not trace a daemon with
 * more capabilities than the unit leaves to the agent (kernel/ptrace.c,
 * `__ptrace_may_access`). The files in `/proc/PID/net` belong to the namespace,
 * have distinct inodes in each (fs/proc/proc_net.c), and are readable by all.
 *
 * @throws {Deno.errors.NotFound} if there is no such process.
 */
export function networkNamespaceOf(pid: number | "self"): number {
  const { ino } = Deno.statSync(`/proc/${pid}/net/dev`);
  if (ino === null) throw new TypeError("Cannot tell a file by its inode");
  return ino;
}
