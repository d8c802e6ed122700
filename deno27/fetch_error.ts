/**
 * The words of a `fetch` that failed.
 *
 * @module
 */

/**
 * The text that names the errno: that of the error's cause, and before Deno 2.8
 * the error's own.
 */
export function fetchFailure(error: unknown): string {
  if (!(error instanceof Error)) return "";
  return error.cause instanceof Error ? error.cause.message : error.message;
}
