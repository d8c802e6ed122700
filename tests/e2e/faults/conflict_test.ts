/**
 * No packet is lost before another host has a host's subnet, and none when it
 * wants its address.
 *
 * @module
 */

import { CONFLICT_FAULTS } from "./conflict_faults.ts";
import { testFaults } from "./test_faults.ts";

testFaults(CONFLICT_FAULTS);
