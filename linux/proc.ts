/**
 * Reading `/proc`, whose processes may end at any moment.
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

/** What `look` returns; `undefined` if it is not there or may not be read. */
export function ifThere<Value>(look: () => Value): Value | undefined {
  try {
    return look();
  } catch (error) {
    if (isProcessGone(error)) return undefined;
    throw error;
  }
}

/** The ids of all processes. */
export function processIds(): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => name)
    .filter((name) => /^\d+$/.test(name)).map(Number);
}
