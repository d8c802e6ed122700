/**
 * What several parts of a command want to know.
 *
 * @module
 */

/** Asks once; later callers get the first one's answer. */
export function once<T>(
  ask: (signal: AbortSignal) => Promise<T>,
): (signal: AbortSignal) => Promise<T> {
  let answer: Promise<T> | undefined;
  return (signal) => answer ??= ask(signal);
}
