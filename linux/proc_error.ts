/**
 * What reading `/proc/PID` may meet at any moment.
 *
 * @module
 */

/** ESRCH: Deno gives it no code. */
const NO_SUCH_PROCESS = /\(os error 3\)/;

/**
 * Whether an error is the system's word about a process: that it is not there
 * (ENOENT), ended between open and read (ESRCH), or is another user's.
 */
export function isProcessGone(error: unknown): boolean {
  return error instanceof Error &&
    ("code" in error || NO_SUCH_PROCESS.test(error.message));
}
