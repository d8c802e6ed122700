/**
 * Decides how a running network reacts to a new config.
 *
 * flannel reads the config once. Loden compares a new config with the running
 * one and applies all of it or nothing: hosts that each applied a part would
 * not form one network.
 *
 * @module
 */

import { BACKENDS } from "../../backend/backends.ts";
import type { NetworkConfig } from "../../config/network/network.ts";
import { shownOptions } from "../../config/network/shown_config.ts";
import { type Cidr, equalCidr, formatCidr, isWithin } from "../../net/cidr.ts";
import { formatIpv4 } from "../../net/ipv4.ts";
import { ConfigChangeError } from "../errors.ts";

/** What a new config is compared with. */
export interface RunningConfig {
  readonly config: NetworkConfig;
  /** This host's lease; `undefined` if it has none. */
  readonly subnet: Cidr | undefined;
  /** The subnets of the other hosts. */
  readonly peers: readonly Cidr[];
}

/** One changed value. */
export interface ChangedValue {
  /** As in the config: `SubnetMax`, `Backend.Port`. */
  readonly key: string;
  readonly from: string;
  readonly to: string;
}

/** The difference between two configs, and its consequences. */
export interface ConfigChange {
  readonly values: readonly ChangedValue[];
  /** Whether routes, programs, rules or files have to change with it. */
  readonly needsReplan: boolean;
}

/**
 * Compares a new config with the running one.
 *
 * @param publishFormer The command that publishes the running config again.
 * @throws {ConfigChangeError} naming each value that cannot change while this
 * host keeps its subnet, and why.
 */
export function planConfigChange(
  running: RunningConfig,
  next: NetworkConfig,
  publishFormer: string,
): ConfigChange {
  const { config, subnet, peers } = running;
  // Nothing runs that could conflict with it.
  const refusals = subnet === undefined ? [] : [
    ...refuseBackend(config, next),
    ...refusePool(config, subnet, next),
    ...refuseNetworkWithout(peers, next),
  ];
  if (refusals.length > 0) {
    throw new ConfigChangeError(subnet!, refusals, publishFormer);
  }
  const values = changedValues(config, next);
  const needsReplan = values.some(({ key }) => REPLANNED.has(key));
  return { values, needsReplan };
}

/** Values that affect more than the next allocation. */
const REPLANNED: ReadonlySet<string> = new Set([
  "Network",
  "EnableNFTables",
  "Backend.Type",
]);

function changedValues(
  before: NetworkConfig,
  after: NetworkConfig,
): ChangedValue[] {
  const [from, to] = [shownValues(before), shownValues(after)];
  return Object.keys(from)
    .map((key) => ({ key, from: from[key]!, to: to[key]! }))
    .filter(({ from, to }) => from !== to);
}

/** The values that may change. */
function shownValues(
  { backend, pool, enableNfTables }: NetworkConfig,
): Record<string, string> {
  return {
    "Backend.Type": backend.type,
    Network: formatCidr(pool.network),
    SubnetMin: formatIpv4(pool.first),
    SubnetMax: formatIpv4(pool.last),
    EnableNFTables: String(enableNfTables),
  };
}

/**
 * A lease names the type of the backend alone: two hosts with other options would
 * not know it of each other.
 */
function refuseBackend(
  { backend: before }: NetworkConfig,
  { backend: after }: NetworkConfig,
): string[] {
  // Both backends run until every host has changed.
  if (before.type !== after.type) return [];
  const [from, to] = [optionsOf(before), optionsOf(after)];
  return [...new Set([...Object.keys(from), ...Object.keys(to)])]
    .filter((key) =>
      JSON.stringify(before.options[key]) !== JSON.stringify(after.options[key])
    )
    .map((key) =>
      `Backend.${key} must stay ${from[key] ?? "as it is"}, which ` +
      `the other hosts use: new value is ${to[key] ?? "none"}`
    );
}

/** As texts; they do not show secrets. */
function optionsOf(
  backend: NetworkConfig["backend"],
): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(shownOptions(backend, BACKENDS))
      .map(([key, value]) => [key, JSON.stringify(value)]),
  );
}

function refusePool(
  { pool: before }: NetworkConfig,
  subnet: Cidr,
  { pool }: NetworkConfig,
): string[] {
  const { network, first, last, subnetLength } = pool;
  if (subnetLength !== before.subnetLength) {
    return [
      `SubnetLen must stay ${before.subnetLength}, the length of this host's ` +
      `subnet: new value is ${subnetLength}`,
    ];
  }
  if (!equalCidr(network, before.network) && !isWithin(subnet, network)) {
    return [
      `Network must contain this host's subnet: new value is ` +
      formatCidr(network),
    ];
  }
  // A reservation may lie outside; if it did so before, nothing changes.
  if (first !== before.first && subnet.address < first) {
    return [
      `SubnetMin must not be above this host's subnet: new value is ` +
      formatIpv4(first),
    ];
  }
  if (last !== before.last && subnet.address > last) {
    return [
      `SubnetMax must not be below this host's subnet: new value is ` +
      formatIpv4(last),
    ];
  }
  return [];
}

/**
 * A host that applies a Network drops the peers outside it, while those hosts
 * would keep running.
 */
function refuseNetworkWithout(
  peers: readonly Cidr[],
  { pool: { network } }: NetworkConfig,
): string[] {
  const [one, ...more] = peers.filter((subnet) => !isWithin(subnet, network));
  if (one === undefined) return [];
  const others = more.length === 0 ? "" : ` and ${more.length} more`;
  return [
    `Network must contain the subnets of all hosts, also ${formatCidr(one)}` +
    `${others}: new value is ${formatCidr(network)}`,
  ];
}
