/**
 * How long `loden explain` takes, its start included: towards a host whose agent
 * answers, with packets that it sends, and towards one that is silent.
 *
 *     deno run -A bench/explain/main.ts [RUNS]
 *
 * It runs from LODEN_BINARY, or from the sources.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import {
  BreakableWorld,
  BROKEN_WORLDS,
} from "../../tests/e2e/broken_worlds.ts";
import { KERNEL_PATH } from "../../tests/e2e/data_paths.ts";
import { median } from "../median.ts";

/** What is promised. */
const LIMIT_MS = 3_000;

const [runs = 10] = Deno.args.map(Number);

/** An agent answers one question of a peer a second. */
const PAUSE_MS = 1_100;

Deno.exit(await measureAll() ? 0 : 1);

/** @returns whether every run was within the limit. */
async function measureAll(): Promise<boolean> {
  await using world = await BreakableWorld.start(KERNEL_PATH[0]!);
  const blocked = BROKEN_WORLDS.find(({ name }) => name.includes("8285"))!;
  const results = [
    await measure(world, "the other agent answers", []),
    await measure(world, "it answers, with --send", ["--send"]),
  ];
  await blocked.breaks(world);
  results.push(
    await measure(world, "silence", []),
    await measure(world, "silence, with --send", ["--send"]),
  );
  await blocked.mends(world);
  return results.every((isWithin) => isWithin);
}

/** @returns whether every run was within the limit. */
async function measure(
  world: BreakableWorld,
  name: string,
  flags: readonly string[],
): Promise<boolean> {
  const all: number[] = [];
  for (let run = 0; run < runs; run++) {
    const startedMs = performance.now();
    await world.explain(flags);
    all.push(performance.now() - startedMs);
    await delay(PAUSE_MS);
  }
  const slowest = Math.max(...all);
  console.log(
    `${name}: median ${Math.round(median(all))} ms, slowest ${
      Math.round(slowest)
    } ms, limit ${LIMIT_MS} ms`,
  );
  return slowest <= LIMIT_MS;
}
