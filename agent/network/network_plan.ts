/**
 * The plan of a host's network, as a value.
 *
 * @module
 */

import { BACKENDS } from "../../backend/backends.ts";
import type { NetworkConfig } from "../../config/network/network.ts";
import { shownOptions } from "../../config/network/shown_config.ts";
import { type Cidr, equalCidr, formatCidr } from "../../net/cidr.ts";
import { formatIpv4 } from "../../net/ipv4.ts";
import type { Underlay } from "../../net/underlay.ts";
import type { AgentFacts } from "../status/state.ts";
import type { UnderlayStatus } from "../status/status_snapshot.ts";

/** Everything that decides what must run. */
export interface NetworkPlan {
  readonly config: NetworkConfig;
  readonly underlay: Underlay;
  /** This host's lease. */
  readonly subnet: Cidr;
}

/** Whether two plans need the same network. */
export function isSamePlan(a: NetworkPlan, b: NetworkPlan): boolean {
  return isSameBackend(a, b) &&
    a.config.enableNfTables === b.config.enableNfTables &&
    a.underlay.publicIp === b.underlay.publicIp;
}

/** Whether one data path serves both; only other hosts send to the PublicIP. */
export function isSameBackend(a: NetworkPlan, b: NetworkPlan): boolean {
  return equalCidr(a.subnet, b.subnet) &&
    equalCidr(a.config.pool.network, b.config.pool.network) &&
    JSON.stringify(a.config.backend) === JSON.stringify(b.config.backend) &&
    a.underlay.interfaceIndex === b.underlay.interfaceIndex &&
    a.underlay.address === b.underlay.address &&
    a.underlay.mtuBytes === b.underlay.mtuBytes;
}

/** A plan as one log line. */
export function describePlan(plan: NetworkPlan): Record<string, string> {
  return {
    network: formatCidr(plan.config.pool.network),
    subnet: formatCidr(plan.subnet),
    backend: plan.config.backend.type,
    interface: plan.underlay.interfaceName,
  };
}

/** `subnet: 10.1.5.0/24 -> 10.1.7.0/24` for each changed value. */
export function describePlanChange(
  before: NetworkPlan,
  after: NetworkPlan,
): string[] {
  const [from, to] = [allValues(before), allValues(after)];
  return Object.keys(to).filter((key) => from[key] !== to[key])
    .map((key) => `${key}: ${from[key] ?? "none"} -> ${to[key]}`);
}

function allValues(plan: NetworkPlan): Record<string, string> {
  const { address, publicIp, mtuBytes } = plan.underlay;
  return {
    ...describePlan(plan),
    backendOptions: JSON.stringify(shownOptions(plan.config.backend, BACKENDS)),
    enableNfTables: String(plan.config.enableNfTables),
    address: formatIpv4(address),
    publicIp: formatIpv4(publicIp),
    underlayMtuBytes: String(mtuBytes),
  };
}

/** What `loden status` shows about a plan. */
export function planFacts(plan: NetworkPlan): Partial<AgentFacts> {
  return {
    network: formatCidr(plan.config.pool.network),
    subnet: formatCidr(plan.subnet),
    underlay: underlayStatus(plan.underlay),
  };
}

/** An underlay, for people. */
export function underlayStatus(underlay: Underlay): UnderlayStatus {
  const { interfaceName, address, publicIp, mtuBytes } = underlay;
  return {
    interface: interfaceName,
    address: formatIpv4(address),
    publicIp: formatIpv4(publicIp),
    mtuBytes,
  };
}
