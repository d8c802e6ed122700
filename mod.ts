/**
 * Loden as a library: the agent, its parts' interfaces, and the values that they
 * exchange. `cli.ts` is the program.
 *
 * @module
 */

export {
  Agent,
  type AgentComponents,
  type AgentOptions,
} from "./agent/agent.ts";
export { exitCodes } from "./agent/exit_codes.ts";
export type { Membership, MembershipEvents } from "./agent/membership.ts";
export { AgentState, type StatusSnapshot } from "./agent/state.ts";
export { fetchStatus } from "./agent/status_client.ts";
export type {
  Backend,
  BackendAdvertisement,
  BackendContext,
  BackendStatus,
} from "./backend/backend.ts";
export { type NetworkConfig, parseNetworkConfig } from "./config/network.ts";
export { resolveSettings, type Settings } from "./config/settings.ts";
export { describeError, LodenError } from "./errors.ts";
export { EtcdLeaseRegistry } from "./lease/etcd_registry.ts";
export type { Lease, LeaseAttributes } from "./lease/lease.ts";
export type { LeaseRegistry } from "./lease/registry.ts";
export { type Cidr, formatCidr, parseCidr } from "./net/cidr.ts";
export { formatIpv4, type Ipv4, parseIpv4 } from "./net/ipv4.ts";
export type { Peer, PeerDiff } from "./net/peer.ts";
export type { Overlay, Underlay } from "./net/underlay.ts";
export { VERSION } from "./version.ts";
