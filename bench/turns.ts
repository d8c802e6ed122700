/**
 * Paths take turns: one is measured, the processes of the others are stopped.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import type { PathFigures } from "./figures.ts";
import { ping } from "./measure/ping.ts";
import type { MeasuredPath } from "./paths/measured_path.ts";

/** Agents see what passed meanwhile, and are done with it. */
const THAW_MS = 200;

/** Short beside the time in which the speed of the machine changes. */
const SHORT_TURN_MS = 50;

/** What one path does in a short turn; its programs run already. */
export type ShortTurn = (milliseconds: number) => Promise<PathFigures>;

/** Nobody is always the first after what the machine did before. */
export function rotated<Item>(items: readonly Item[], by: number): Item[] {
  const start = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

/** Lets the processes of paths run for as long as `work` takes. */
export async function inTurn<Result>(
  paths: readonly MeasuredPath[],
  signal: AbortSignal,
  work: () => Promise<Result>,
): Promise<Result> {
  for (const path of paths) path.thaw();
  try {
    await delay(THAW_MS, { signal });
    return await work();
  } finally {
    for (const path of paths) path.freeze();
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

/** Each path once. @returns the figures of each, in the order of `paths`. */
export async function inLongTurns(
  paths: readonly MeasuredPath[],
  measure: (path: MeasuredPath) => Promise<PathFigures>,
  signal: AbortSignal,
): Promise<PathFigures[][]> {
  const figures: PathFigures[][] = [];
  for (const path of paths) {
    figures.push(
      await inTurn([path], signal, async () => {
        await untilReached(path, signal);
        return [await measure(path)];
      }),
    );
  }
  return figures;
}

/**
 * The paths in turns of milliseconds, for `seconds` each. A virtual machine can
 * be twice as fast a second later, because others use its processors as well.
 *
 * @returns the figures of each turn of each, in the order of `paths`.
 */
export async function inShortTurns(
  paths: readonly MeasuredPath[],
  open: (
    path: MeasuredPath,
    programs: AsyncDisposableStack,
  ) => Promise<ShortTurn>,
  seconds: number,
  signal: AbortSignal,
): Promise<PathFigures[][]> {
  return await inTurn(paths, signal, async () => {
    await using programs = new AsyncDisposableStack();
    const measured: { turn: ShortTurn; figures: PathFigures[] }[] = [];
    for (const path of paths) {
      await untilReached(path, signal);
      measured.push({ turn: await open(path, programs), figures: [] });
    }
    for (let index = 0; index < seconds * 1000 / SHORT_TURN_MS; index++) {
      for (const { figures, turn } of rotated(measured, index)) {
        signal.throwIfAborted();
        figures.push(await turn(SHORT_TURN_MS));
      }
    }
    return measured.map(({ figures }) => figures);
  });
}
