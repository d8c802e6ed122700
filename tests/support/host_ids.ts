/**
 * Host ids for tests.
 *
 * @module
 */

/** A valid host id with that number at its end. */
export function hostIdOf(number: number): string {
  return number.toString(16).padStart(32, "0");
}
