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
export type { BlackholeRouteComponents } from "./agent/network/blackhole_route.ts";
export { exitCodes } from "./agent/exit_codes.ts";
export type {
  FirewallFootprint,
  Footprint,
} from "./agent/instance/footprint.ts";
export type {
  Warning,
  WarningCode,
  warningDefinitions,
  WarningSeverity,
} from "./agent/status/health.ts";
export type { HostFile } from "./agent/network/host_files.ts";
export type { UnderlayChoice } from "./agent/joining.ts";
export type {
  LeaseRequest,
  Membership,
  MembershipEvents,
  MembershipUpdate,
  SavedNetwork,
} from "./agent/membership.ts";
export type { EtcdSettings } from "./agent/changes/missing_config.ts";
export type {
  DockerOverlay,
  NetworkComponents,
  NetworkOptions,
} from "./agent/network/network.ts";
export type {
  FirewallSupervisor,
  NetworkFirewallComponents,
  NetworkFirewallOptions,
} from "./agent/network/network_firewall.ts";
export type {
  AddressConflictComponents,
  AddressConflicts,
} from "./agent/network/address_conflicts.ts";
export type { NetworkSupervisorComponents } from "./agent/network/network_supervisor.ts";
export type { RetryComponents } from "./agent/tasks/retry.ts";
export {
  type AgentFacts,
  type AgentPhase,
  AgentState,
  type FileStatus,
  type LeaseStatus,
  type LiveParts,
  type PeerStatus,
  type StatusSnapshot,
  type StatusSummary,
  type StatusWarning,
  type UnderlayStatus,
  type WaitSubject,
} from "./agent/status/state.ts";
export { fetchStatus } from "./agent/status/status_client.ts";
export type { SubnetChangeOptions } from "./agent/changes/subnet_change.ts";
export type { TaskGroup } from "./agent/tasks/task_group.ts";
export type { UnderlayView } from "./agent/changes/underlay_watch.ts";
export type {
  Backend,
  BackendAdvertisement,
  BackendContext,
  BackendStatus,
} from "./backend/backend.ts";
export type { BACKEND_TYPES, BackendType } from "./config/network/backends.ts";
export type { ReadTextFile } from "./config/cloud_config.ts";
export type { Environment } from "./config/env.ts";
export type {
  BoolFlag,
  EnumFlag,
  FLAG_GROUPS,
  FlagBase,
  FlagGroup,
  FlagOrigin,
  FlagSpec,
  FlagStatus,
  FlagValue,
  IntFlag,
  ListFlag,
  StringFlag,
  ValueOf,
} from "./config/flag_spec.ts";
export type {
  AGENT_FLAGS,
  AgentFlag,
  AgentFlagValues,
} from "./config/flags.ts";
export type { CommandLine, GivenFlag } from "./config/go_flags.ts";
export {
  type BackendConfig,
  type IgnoredKey,
  type NetworkConfig,
  parseNetworkConfig,
} from "./config/network/network.ts";
export type { SettingEntry } from "./config/precedence.ts";
export type { Provenance, SettingSource } from "./config/precedence.ts";
export type { Secret } from "./config/secret.ts";
export {
  resolveSettings,
  type Settings,
  type SettingsInput,
} from "./config/settings.ts";
export type { SettingsWarning } from "./config/settings_warnings.ts";
export type { SubnetChangeAction } from "./config/subnet_change.ts";
export { describeError, LodenError } from "./errors.ts";
export type {
  DOCKER_PROBLEM_CODES,
  DockerProblem,
  DockerProblemCode,
} from "./host/docker/docker_problem.ts";
export type {
  DockerLook,
  DockerStatus,
  DockerWatchSubject,
} from "./host/docker/docker_watch.ts";
export type { FirewallRules, FirewallTool } from "./host/firewall/firewall.ts";
export type { FirewallStatus } from "./host/firewall/firewall_keeper.ts";
export type { NetworkOverlap } from "./host/network_fit.ts";
export type { SubnetEnv } from "./host/subnet_env.ts";
export type { SysctlFinding } from "./host/sysctl_check.ts";
export type { ServiceNotifier } from "./host/systemd.ts";
export type { UnderlayFinding } from "./host/underlay_look.ts";
export type { UnderlayWarning } from "./host/underlay_warnings.ts";
export { EtcdLeaseRegistry } from "./lease/etcd_registry.ts";
export type { Lease, LeaseAttributes, LeaseVersion } from "./lease/lease.ts";
export type {
  LeaseEvent,
  LeaseLookup,
  LeaseRegistry,
  LeaseSnapshot,
  RejectedLease,
  RevisionSpan,
  StoredConfig,
} from "./lease/registry.ts";
export type { Clock } from "./linux/clock.ts";
export type {
  RtnetlinkMonitor,
  RtnetlinkTable,
} from "./linux/netlink/rtnetlink_monitor.ts";
export type { RandomSource } from "./linux/random.ts";
export type {
  RunShell,
  ShellOptions,
  ShellResult,
} from "./linux/shell_command.ts";
export { type Cidr, formatCidr, parseCidr } from "./net/cidr.ts";
export { formatIpv4, type Ipv4, parseIpv4 } from "./net/ipv4.ts";
export type { OverlayMtu, UnderlayMtu } from "./net/mtu.ts";
export type { DataPathName, Peer, PeerDiff } from "./net/peer.ts";
export type { SubnetPool } from "./net/subnet_pool.ts";
export type { Overlay, Underlay } from "./net/underlay.ts";
export { VERSION } from "./version.ts";
