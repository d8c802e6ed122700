/**
 * No packet is lost before another host has a host's subnet, none when it wants
 * its address, and none when clocks are set.
 *
 * @module
 */

import { ProcessClock } from "../../rig/process_clock.ts";
import { clockFault } from "./clock_fault.ts";
import { CONFLICT_FAULTS } from "./conflict_faults.ts";
import { testFaults } from "./test_faults.ts";

const clock = new ProcessClock();

testFaults([...CONFLICT_FAULTS, clockFault(clock)], {
  wrapper: clock.wrapper,
});
Deno.test.afterAll(() => clock[Symbol.dispose]());
