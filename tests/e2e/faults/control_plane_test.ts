/**
 * No packet is lost, and no lease, whatever becomes of etcd.
 *
 * @module
 */

import {
  CONTROL_PLANE_FAULTS,
  ETCD_QUOTA_BYTES,
} from "./control_plane_faults.ts";
import { testFaults } from "./test_faults.ts";

testFaults("faults of the control plane", CONTROL_PLANE_FAULTS, {
  etcd: { extraArguments: [`--quota-backend-bytes=${ETCD_QUOTA_BYTES}`] },
});
