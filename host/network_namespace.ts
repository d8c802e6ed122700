/**
 * Which network namespace a process is in.
 *
 * @module
 */

/**
 * A number that the processes of one network namespace have in common.
 *
 * Not where `/proc/PID/ns/net` leads: that is told to those only who may trace
 * the process, and a daemon with more capabilities than its unit leaves to the
 * agent may not be traced by it (kernel/ptrace.c, `__ptrace_may_access`). The
 * files of `/proc/PID/net` are the namespace's, each with an inode of its own
 * there (fs/proc/proc_net.c), and open to all.
 *
 * @throws {Deno.errors.NotFound} when there is no such process.
 */
export function networkNamespaceOf(pid: number | "self"): number {
  const { ino } = Deno.statSync(`/proc/${pid}/net/dev`);
  if (ino === null) throw new TypeError("Cannot tell a file by its inode");
  return ino;
}
