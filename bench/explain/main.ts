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

import {
  BreakableWorld,
  BROKEN_WORLDS,
} from "../../tests/e2e/broken_worlds.ts";
import { KERNEL_PATH } from "../../tests/e2e/data_paths.ts";
import { median } from "../median.ts";

/** What is promised. */
const LIMIT_MS = 3_000;

const [runs = 10] = Deno.args.map(Number);

await using world = await BreakableWorld.start(KERNEL_PATH[0]!);
const blocked = BROKEN_WORLDS.find(({ name }) => name.includes("8285"))!;
let isWithin = await measure("the other agent answers", []);
isWithin = await measure("with --send", ["--send"]) && isWithin;
await blocked.breaks(world);
isWithin = await measure("silence", []) && isWithin;
isWithin = await measure("silence, with --send", ["--send"]) && isWithin;
await blocked.mends(world);
await world[Symbol.asyncDispose]();
Deno.exit(isWithin ? 0 : 1);

/** @returns whether every run was within the limit. */
async function measure(
  name: string,
  flags: readonly string[],
): Promise<boolean> {
  const all: number[] = [];
  for (let run = 0; run < runs; run++) {
    const startedMs = performance.now();
    await world.explain(flags);
    all.push(performance.now() - startedMs);
  }
  const slowest = Math.max(...all);
  console.log(
    `${name}: median ${Math.round(median(all))} ms, slowest ${
      Math.round(slowest)
    } ms, limit ${LIMIT_MS} ms`,
  );
  return slowest <= LIMIT_MS;
}
