/**
 * The same tests on several setups, one overlay at a time. Where a test fails,
 * the next one gets an overlay of its own.
 *
 * @module
 */

import { after, before, describe, it } from "@std/testing/bdd";
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
  /** Runs on each overlay before its first test. */
  readonly prepare?: (overlay: Overlay, setup: Setup) => Promise<void>;
}

/** The tests of a file, and the overlay that the present one runs on. */
export class OverlaySuite {
  readonly #about: string;
  readonly #options: SuiteOptions;
  #overlay: Overlay | undefined;
  /** The last test has failed, or has not ended. */
  #spoilt = false;

  /** @param about What the tests are about: it begins their names. */
  constructor(about: string, options: SuiteOptions = {}) {
    this.#about = about;
    this.#options = options;
  }

  /** Registers tests for each setup. */
  each(
    setups: readonly Setup[],
    register: (test: RegisterTest, setup: Setup) => void,
  ): void {
    for (const setup of setups) {
      describe(`${this.#about}, ${setup.name}`, () => {
        before(() => this.#enter(setup));
        after(() => this.#leave());
        register((name, body) => {
          it(name, async () => {
            if (this.#spoilt) {
              await this.#leave();
              await this.#enter(setup);
            }
            this.#spoilt = true;
            await body();
            this.#spoilt = false;
          });
        }, setup);
      });
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
    this.#overlay = await startOverlay({ ...this.#options, setup });
    await this.#options.prepare?.(this.#overlay, setup);
    this.#spoilt = false;
  }

  async #leave(): Promise<void> {
    const overlay = this.#overlay;
    this.#overlay = undefined;
    await overlay?.[Symbol.asyncDispose]();
  }
}
