/**
 * Faults as tests: one world and one traffic through all of them. Where a test
 * fails, the next one gets a world of its own.
 *
 * @module
 */

import { after, before, describe, it } from "@std/testing/bdd";
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

/** The world of a `describe`. */
export class FaultSuite {
  readonly #options: WorldOptions;
  #world: FaultWorld | undefined;
  #traffic: FaultTraffic | undefined;
  /** The last test has failed, or has not ended. */
  #spoilt = false;

  /** Inside a `describe`. */
  constructor(options: WorldOptions = {}) {
    this.#options = options;
    before(() => this.#enter());
    after(() => this.#leave());
  }

  /** Registers a test that runs on the world. */
  test(name: string, body: (world: FaultWorld) => Promise<void>): void {
    it(name, async () => {
      if (this.#spoilt) {
        await this.#leave();
        await this.#enter();
      }
      this.#spoilt = true;
      await body(this.#world!);
      this.#spoilt = false;
    });
  }

  /** Registers a test for each fault, and one for the streams through all. */
  testFaults(faults: readonly Fault[]): void {
    for (const fault of faults) {
      this.test(`no packet is lost when ${fault.name}`, async (world) => {
        this.#traffic ??= await world.startTraffic();
        await runFault(fault, world, this.#traffic, { lastsMs: LASTS_MS });
      });
    }
    this.test(
      "every byte of the streams has come through all of it",
      async (world) => {
        this.#traffic ??= await world.startTraffic();
        await this.#traffic.finish();
      },
    );
  }

  async #enter(): Promise<void> {
    const options = this.#options;
    this.#world = await FaultWorld.start(
      typeof options === "function" ? await options() : options,
    );
    this.#spoilt = false;
  }

  async #leave(): Promise<void> {
    const ending = [this.#traffic, this.#world];
    this.#traffic = undefined;
    this.#world = undefined;
    for (const each of ending) await each?.[Symbol.asyncDispose]();
  }
}

/** Registers a test for each fault, and one for the streams through all. */
export function testFaults(
  about: string,
  faults: readonly Fault[],
  options: WorldOptions = {},
): void {
  describe(about, () => new FaultSuite(options).testFaults(faults));
}
