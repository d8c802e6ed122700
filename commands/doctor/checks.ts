/**
 * All checks of `loden doctor`.
 *
 * @module
 */

import type { Check } from "./check.ts";
import { agentCheck } from "./checks/agent.ts";
import { clockCheck } from "./checks/clock.ts";
import { dockerCheck } from "./checks/docker.ts";
import { etcdCheck } from "./checks/etcd.ts";
import { firewallCheck } from "./checks/firewall.ts";
import { kernelFeaturesCheck } from "./checks/kernel_features.ts";
import { networkCheck } from "./checks/network.ts";
import { rightsCheck } from "./checks/rights.ts";
import { sysctlsCheck } from "./checks/sysctls.ts";
import { systemdCheck } from "./checks/systemd.ts";
import { underlayCheck } from "./checks/underlay.ts";

/** In the order of the output, within each severity. */
export const CHECKS: readonly Check[] = [
  rightsCheck,
  agentCheck,
  kernelFeaturesCheck,
  sysctlsCheck,
  firewallCheck,
  clockCheck,
  etcdCheck,
  networkCheck,
  underlayCheck,
  dockerCheck,
  systemdCheck,
];
