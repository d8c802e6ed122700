/**
 * An overlay suite of which the first test fails; each test prints the name of
 * its rig. For `deno test`.
 *
 * @module
 */

import { EACH_PATH } from "../data_paths.ts";
import { OverlaySuite } from "../overlay_suite.ts";

const suite = new OverlaySuite("failing", { hosts: 1, agents: 0 });

suite.each(EACH_PATH.slice(0, 1), (test) => {
  for (const fails of [true, false, false]) {
    test(fails ? "fails" : "passes", () => {
      console.log(`rig: ${suite.rig.name}`);
      return fails ? Promise.reject(new Error("failed")) : Promise.resolve();
    });
  }
});
