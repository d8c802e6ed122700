/**
 * Standard output that may go away.
 *
 * @module
 */

/** What writing to a terminal that was closed gives: asm-generic/errno-base.h. */
const EIO = /os error 5\b/;

/**
 * Writes text, all of it. A reader that has gone (`… | head`, a closed terminal)
 * is no reason to leave a network behind half way: the work goes on unseen.
 */
export function writeStdout(text: string): void {
  let bytes = new TextEncoder().encode(text);
  try {
    while (bytes.length > 0) {
      bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
    }
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return;
    if (error instanceof Error && EIO.test(error.message)) return;
    throw error;
  }
}
