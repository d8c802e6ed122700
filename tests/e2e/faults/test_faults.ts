/**
 * Faults as tests: one world for all of a file, one traffic through all of them.
 *
 * @module
 */

import type { OverlayOptions } from "../overlay.ts";
import { type Fault, runFault } from "./fault.ts";
import type { FaultTraffic } from "./fault_traffic.ts";
import { FaultWorld } from "./fault_world.ts";

/** Long enough for a retry after the one that made the agents tell. */
const LASTS_MS = 2_000;

/** How to build a world; a function where something has to be made for it. */
export type WorldOptions =
  | Partial<OverlayOptions>
  | (() => Promise<Partial<OverlayOptions>>);

/** The world of a test file, from its first test to its last. */
export class TestWorld {
  readonly #options: WorldOptions;
  #world: Promise<FaultWorld> | undefined;
  #traffic: Promise<FaultTraffic> | undefined;

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    Deno.test.afterAll(async () => {
      // What could not be started has failed its tests already.
      for (const started of [this.#traffic, this.#world]) {
        const [result] = await Promise.allSettled([started]);
        if (result.status === "rejected") continue;
        await result.value?.[Symbol.asyncDispose]();
      }
    });
  }

  get world(): Promise<FaultWorld> {
    return this.#world ??= this.#start();
  }

  get traffic(): Promise<FaultTraffic> {
    return this.#traffic ??= this.world.then((world) => world.startTraffic());
  }

  async #start(): Promise<FaultWorld> {
    const options = this.#options;
    return await FaultWorld.start(
      typeof options === "function" ? await options() : options,
    );
  }
}

/** Registers a test for each fault, and one for the streams through all. */
export function testFaults(
  faults: readonly Fault[],
  options: WorldOptions = {},
): TestWorld {
  const each = new TestWorld(options);
  for (const fault of faults) {
    Deno.test(`no packet is lost when ${fault.name}`, async () => {
      await runFault(fault, await each.world, await each.traffic, {
        lastsMs: LASTS_MS,
      });
    });
  }
  Deno.test("every byte of the streams has come through all of it", async () => {
    await (await each.traffic).finish();
  });
  return each;
}
