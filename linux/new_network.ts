/**
 * A network namespace for one thread, to try things in.
 *
 * @module
 */

import { checked, libc } from "./libc.ts";

/** CLONE_NEWNET, `linux/sched.h`. */
const CLONE_NEWNET = 0x4000_0000;

/**
 * Takes this thread, and no other one of the process, into a new network
 * namespace: for a worker that ends. The namespace ends with the thread and with
 * the sockets that it has opened there.
 *
 * @throws {SystemCallError} without CAP_SYS_ADMIN.
 */
export function enterNewNetwork(): void {
  checked(
    libc().unshare(CLONE_NEWNET),
    "make a network namespace",
    "run as root",
  );
}
