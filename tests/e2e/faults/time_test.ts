/**
 * No packet is lost, and no lease, when its time runs out.
 *
 * @module
 */

import { testFaults } from "./test_faults.ts";
import { SHORT_TTL_SECONDS, TIME_FAULTS } from "./time_faults.ts";

testFaults("leases that end", TIME_FAULTS, {
  flags: [`--subnet-lease-ttl=${SHORT_TTL_SECONDS}`],
});
