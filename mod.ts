/**
 * Loden as a library: what a program needs that runs the agent itself, watches
 * one, or works on the leases in etcd. `docs/library.md` has an example for each
 * name. `cli.ts` is the program.
 *
 * @module
 */

export type { Agent } from "./agent/agent.ts";
export {
  type InstancePaths,
  instancePaths,
} from "./agent/instance/instance.ts";
export { configureLogging } from "./agent/logging/logging.ts";
export { type WarningCode, warningDefinitions } from "./agent/status/health.ts";
export { AgentState } from "./agent/status/state.ts";
export type { StatusSnapshot } from "./agent/status/status_snapshot.ts";
export { fetchStatus } from "./agent/status/status_client.ts";
export { type AgentParts, composeAgent } from "./commands/agent/agent_parts.ts";
export {
  type NetworkConfig,
  parseNetworkConfig,
} from "./config/network/network.ts";
export { resolveSettings, type Settings } from "./config/settings.ts";
export { BACKENDS } from "./backend/backends.ts";
export { describeError, LodenError } from "./errors.ts";
export {
  readSubnetEnv,
  renderSubnetEnv,
  type SubnetEnv,
} from "./host/subnet_env.ts";
export { EtcdLeaseRegistry } from "./lease/etcd_registry.ts";
export type { Lease, LeaseAttributes } from "./lease/lease.ts";
export type { LeaseEvent, LeaseRegistry } from "./lease/registry.ts";
export { systemClock } from "./linux/clock.ts";
export { type Cidr, contains, formatCidr, parseCidr } from "./net/cidr.ts";
export { formatIpv4, type Ipv4, parseIpv4 } from "./net/ipv4.ts";
export { VERSION } from "./version.ts";
