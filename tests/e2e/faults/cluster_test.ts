/**
 * No packet is lost, and no lease, when members of etcd are.
 *
 * @module
 */

import { CLUSTER_FAULTS, MEMBERS } from "./cluster_faults.ts";
import { testFaults } from "./test_faults.ts";

testFaults("faults of an etcd cluster", CLUSTER_FAULTS, {
  etcd: { members: MEMBERS },
});
