/**
 * No packet is lost before another host has a host's subnet, none when it wants
 * its address, and none when clocks are set.
 *
 * @module
 */

import { after, describe } from "@std/testing/bdd";
import { ProcessClock } from "../../rig/process_clock.ts";
import { clockFault } from "./clock_fault.ts";
import { CONFLICT_FAULTS } from "./conflict_faults.ts";
import { FaultSuite } from "./test_faults.ts";

describe("conflicts and clocks", () => {
  const clock = new ProcessClock();
  const suite = new FaultSuite({ wrapper: clock.wrapper });
  suite.testFaults([...CONFLICT_FAULTS, clockFault(clock)]);
  after(() => clock[Symbol.dispose]());
});
