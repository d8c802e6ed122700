/**
 * No packet is lost, and no lease, when an agent cannot write.
 *
 * @module
 */

import { DISK_FAULTS } from "./disk_faults.ts";
import { testFaults } from "./test_faults.ts";

testFaults("faults of disks", DISK_FAULTS);
