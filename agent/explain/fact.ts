/**
 * A value that was read from the host, or why it could not be read.
 *
 * @module
 */

import { describeError, LodenError } from "../../errors.ts";
import { isProcessGone } from "../../linux/proc.ts";

/** See the module. */
export type Fact<T> =
  | { readonly seen: true; readonly value: T }
  | { readonly seen: false; readonly why: string };

/** A value. */
export function seen<T>(value: T): Fact<T> {
  return { seen: true, value };
}

/** Why there is none. */
export function unseen(why: string): Fact<never> {
  return { seen: false, why };
}

/** The value; `undefined` if there is none. */
export function valueOf<T>(fact: Fact<T>): T | undefined {
  return fact.seen ? fact.value : undefined;
}

/** What `read` returns, or what the system answers in its place. */
export function factOf<T>(read: () => T): Fact<T> {
  try {
    return seen(read());
  } catch (error) {
    return unseen(reasonOf(error));
  }
}

/** The same for what takes time. */
export async function asyncFactOf<T>(read: () => Promise<T>): Promise<Fact<T>> {
  try {
    return seen(await read());
  } catch (error) {
    return unseen(reasonOf(error));
  }
}

/** @throws the error, if it is a defect and not what the system answers. */
function reasonOf(error: unknown): string {
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return "it took too long";
  }
  const isExpected = error instanceof LodenError || isProcessGone(error) ||
    error instanceof DOMException;
  if (!isExpected) throw error;
  return describeError(error);
}
