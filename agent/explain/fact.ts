/**
 * Something that was looked at: what was seen, or why nothing could be seen.
 *
 * @module
 */

/** See the module. */
export type Fact<T> =
  | { readonly seen: true; readonly value: T }
  | { readonly seen: false; readonly why: string };

/** What was seen. */
export function seen<T>(value: T): Fact<T> {
  return { seen: true, value };
}

/** Why nothing was. */
export function unseen(why: string): Fact<never> {
  return { seen: false, why };
}

/** The value; `undefined` if it could not be seen. */
export function valueOf<T>(fact: Fact<T>): T | undefined {
  return fact.seen ? fact.value : undefined;
}
