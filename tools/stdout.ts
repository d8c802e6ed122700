/**
 * Standard output that may go away.
 *
 * @module
 */

/**
 * Writes text, all of it. A reader that has gone (`… | head`) is no reason to
 * leave a network behind half way: the work goes on unseen.
 */
export function writeStdout(text: string): void {
  let bytes = new TextEncoder().encode(text);
  try {
    while (bytes.length > 0) {
      bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
