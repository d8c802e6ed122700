/**
 * Paths take turns: one is measured, the processes of the others are stopped.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { ping } from "./measure/ping.ts";
import type { MeasuredPath } from "./paths/measured_path.ts";

/** Agents see what passed meanwhile, and are done with it. */
const THAW_MS = 200;

/** Nobody is always the first after what the machine did before. */
export function rotated<Item>(items: readonly Item[], by: number): Item[] {
  const start = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

/** Lets a path's processes run for as long as `work` takes. */
export async function inTurn<Result>(
  path: MeasuredPath,
  signal: AbortSignal,
  work: () => Promise<Result>,
): Promise<Result> {
  path.thaw();
  try {
    await delay(THAW_MS, { signal });
    return await work();
  } finally {
    path.freeze();
  }
}

/** Neighbours are found, and tunnels up, before anything counts. */
export async function untilReached(
  { link, name }: MeasuredPath,
  signal: AbortSignal,
): Promise<void> {
  const { received } = await ping(link.client.namespace, link.server.address, {
    count: 3,
    intervalSeconds: 0.05,
    deadlineSeconds: 10,
  }, signal);
  if (received === 0) {
    throw new Error(
      `Cannot measure ${name}: ${link.server.address} must answer a ping`,
    );
  }
}
