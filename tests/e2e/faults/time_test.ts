/**
 * No packet is lost, and no lease, when time runs out or runs otherwise.
 *
 * @module
 */

import { ProcessClock } from "../../rig/process_clock.ts";
import { testFaults } from "./test_faults.ts";
import { SHORT_TTL_SECONDS, timeFaults } from "./time_faults.ts";

const clock = new ProcessClock();

testFaults(timeFaults(clock), {
  flags: [`--subnet-lease-ttl=${SHORT_TTL_SECONDS}`],
  wrapper: clock.wrapper,
});
Deno.test.afterAll(() => clock[Symbol.dispose]());
