/**
 * No packet is lost, and no lease, when agents end and hosts come back; where the
 * data path needs its agent, no byte of a stream is.
 *
 * @module
 */

import { AGENT_FAULTS } from "./agent_faults.ts";
import { testFaults } from "./test_faults.ts";

testFaults("faults of agents", AGENT_FAULTS);
