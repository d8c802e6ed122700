/**
 * Looks whose failure is a fact of its own.
 *
 * @module
 */

import { describeError, LodenError } from "../../errors.ts";
import { isProcessGone } from "../../linux/proc.ts";
import { type Fact, seen, unseen } from "./fact.ts";

/** What a look shows, or what the system answers in its place. */
export function look<T>(what: () => T): Fact<T> {
  try {
    return seen(what());
  } catch (error) {
    return unseen(reasonOf(error));
  }
}

/** The same for what takes time. */
export async function lookLater<T>(what: () => Promise<T>): Promise<Fact<T>> {
  try {
    return seen(await what());
  } catch (error) {
    return unseen(reasonOf(error));
  }
}

/** @throws the error, if it is a defect and not what the system answers. */
function reasonOf(error: unknown): string {
  const isExpected = error instanceof LodenError || isProcessGone(error) ||
    error instanceof DOMException;
  if (!isExpected) throw error;
  return describeError(error);
}
