/**
 * The same tests on several setups, one after the other: one overlay at a time,
 * built for the first test that runs on it.
 *
 * @module
 */

import type { Rig } from "../rig/rig.ts";
import type { Setup } from "./data_paths.ts";
import {
  type Node,
  type Overlay,
  type OverlayOptions,
  startOverlay,
} from "./overlay.ts";

/** Registers a test of the present setup. */
export type RegisterTest = (name: string, body: () => Promise<void>) => void;

/** How each overlay is built. */
export interface SuiteOptions extends Omit<OverlayOptions, "setup"> {
  /** Runs once on each overlay, before its first test. */
  readonly prepare?: (overlay: Overlay) => Promise<void>;
}

/** The tests of a file, and the overlay that the present one runs on. */
export class OverlaySuite {
  readonly #options: SuiteOptions;
  #setup: Setup | undefined;
  #overlay: Overlay | undefined;
  #failure: unknown;

  constructor(options: SuiteOptions = {}) {
    this.#options = options;
    Deno.test.afterAll(() => this.#leave());
  }

  /** Registers tests for each setup; their names begin with the setup's. */
  each(
    setups: readonly Setup[],
    register: (test: RegisterTest, setup: Setup) => void,
  ): void {
    for (const setup of setups) {
      register((name, body) => {
        Deno.test(`${setup.name}: ${name}`, async () => {
          await this.#enter(setup);
          await body();
        });
      }, setup);
    }
  }

  get rig(): Rig {
    return this.#current().rig;
  }

  get nodes(): readonly Node[] {
    return this.#current().nodes;
  }

  node(index: number): Node {
    return this.#current().node(index);
  }

  #current(): Overlay {
    if (!this.#overlay) throw new Error("Cannot use the hosts outside a test");
    return this.#overlay;
  }

  async #enter(setup: Setup): Promise<void> {
    if (setup === this.#setup) {
      // The first test has said why; the others need not wait for it again.
      if (this.#failure !== undefined) throw this.#failure;
      return;
    }
    await this.#leave();
    this.#setup = setup;
    this.#failure = undefined;
    try {
      this.#overlay = await startOverlay({ ...this.#options, setup });
      await this.#options.prepare?.(this.#overlay);
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  async #leave(): Promise<void> {
    const overlay = this.#overlay;
    this.#overlay = undefined;
    await overlay?.[Symbol.asyncDispose]();
  }
}
