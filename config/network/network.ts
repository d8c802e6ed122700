/**
 * The network config, `<prefix>/config` in etcd (compat 2).
 *
 * @module
 */

import { formatCidr, overlaps, parseCidr } from "../../net/cidr.ts";
import { type Ipv4, parseIpv4 } from "../../net/ipv4.ts";
import type { SubnetPool } from "../../net/subnet_pool.ts";
import type { BackendCatalog, BackendConfig } from "./backend_spec.ts";
import type { NetworkConfigError } from "../errors.ts";
import { nearMatch } from "../near_match.ts";
import { readBackend } from "./network_backend.ts";
import { exampleFor, networkOf } from "./network_examples.ts";
import {
  foldKeys,
  isJsonObject,
  type JsonObject,
  parseGoJson,
} from "./network_json.ts";
import { refusals, type Refuse } from "./network_refusal.ts";
import {
  checkShape,
  type NetworkJson,
  networkSchema,
  type ShapeProblem,
} from "./network_schema.ts";
import {
  NO_RULES,
  subnetPoolOf,
  type SubnetRefusal,
} from "./network_subnets.ts";

/** The config that all hosts of a network share. */
export interface NetworkConfig {
  readonly pool: SubnetPool;
  readonly backend: BackendConfig;
  /** Use nftables for firewall rules if the host has both tools. */
  readonly enableNfTables: boolean;
  /** Keys that neither flannel nor Loden knows; most likely typing errors. */
  readonly ignoredKeys: readonly IgnoredKey[];
  /** The text as it was read. */
  readonly raw: string;
}

/** A key that has no effect. */
export interface IgnoredKey {
  /** `Backend.Prot`. */
  readonly key: string;
  /** What it may have been meant to be. */
  readonly near: string | undefined;
}

/** Keys for which flannel reads `null` as a value, and an invalid one. */
const NULL_COUNTS = ["Network", "SubnetMin", "SubnetMax", "Backend"];

/** Addresses that are never routed to another host (RFC 6890). */
const SPECIAL_NETWORKS = [
  { cidr: parseCidr("0.0.0.0/8")!, what: "which means this host" },
  { cidr: parseCidr("127.0.0.0/8")!, what: "the loopback addresses" },
  { cidr: parseCidr("224.0.0.0/4")!, what: "the multicast addresses" },
] as const;

const NETWORK_KEYS = [...Object.keys(networkSchema.entries), "Backend"];

/**
 * Reads and checks a network config.
 *
 * @param catalog The backends that it may name.
 * @param source Where the text comes from, for error messages.
 * @throws {NetworkConfigError} naming the value, the rule and a value that
 * would pass; `retryable` is false where flannel exits, too.
 */
export function parseNetworkConfig(
  text: string,
  catalog: BackendCatalog,
  source = "etcd",
): NetworkConfig {
  const refuse = refusals(source);
  const json = parseGoJson(text, source) ?? {};
  if (!isJsonObject(json)) {
    throw refuse({
      key: "the config",
      rule: "a JSON object",
      current: json,
      example: '{ "Network": "10.1.0.0/16" }',
      code: "network.type",
    });
  }
  const top = foldKeys(json, NETWORK_KEYS, NULL_COUNTS);
  const { Backend: backendJson, ...rest } = top.known;
  const { backend, keys, unknown } = readBackend(backendJson, catalog, refuse);
  const shape = checkShape(rest);
  if ("problem" in shape) throw refuseShape(shape.problem, top.known, refuse);
  const { network } = shape;
  refuseIpv6(network, refuse);
  return {
    pool: poolOf(network, refuse),
    backend,
    enableNfTables: network.EnableNFTables ?? false,
    ignoredKeys: [
      ...ignored("", top.unknown, NETWORK_KEYS),
      ...ignored("Backend.", unknown, keys),
    ],
    raw: text,
  };
}

const CODES: Readonly<Record<string, string>> = {
  Network: "network.network",
  SubnetLen: "network.subnet-len",
  SubnetMin: "network.subnet-min",
  SubnetMax: "network.subnet-max",
};

function refuseShape(
  { path, rule, missing, current }: ShapeProblem,
  config: JsonObject,
  refuse: Refuse,
): NetworkConfigError {
  const length = path === "SubnetLen" && Number.isInteger(current);
  const network = networkOf(config);
  if (length && network !== undefined) {
    // The narrower rule, which knows the Network.
    const subnetLen = Number(current);
    const result = subnetPoolOf({ ...NO_RULES, network, subnetLen });
    if ("refusal" in result) return refusePool(result.refusal, refuse);
  }
  return refuse({
    key: path,
    rule,
    current: missing ? undefined : current,
    example: exampleFor(path, config),
    code: CODES[path] ?? "network.type",
  });
}

function refuseIpv6(network: NetworkJson, refuse: Refuse): void {
  const code = "network.ipv6";
  const reason = "because this release carries IPv4 only";
  if (network.EnableIPv6 === true) {
    const rule = `false or left out, ${reason}`;
    const key = "EnableIPv6";
    throw refuse({ key, rule, current: true, example: false, code });
  }
  if (network.EnableIPv4 === false) {
    const rule = `true or left out, ${reason}`;
    const key = "EnableIPv4";
    throw refuse({ key, rule, current: false, example: true, code });
  }
}

function poolOf(network: NetworkJson, refuse: Refuse): SubnetPool {
  const cidr = parseCidr(network.Network)!;
  const special = SPECIAL_NETWORKS.find((each) => overlaps(each.cidr, cidr));
  if (special !== undefined) {
    throw refuse({
      key: "Network",
      rule: cidr.prefixLength === 0
        // flannel takes it for "not given".
        ? "smaller than all of IPv4"
        : `apart from ${formatCidr(special.cidr)}, ${special.what}`,
      current: network.Network,
      example: exampleFor("Network", {}),
      code: "network.network",
    });
  }
  const result = subnetPoolOf({
    network: cidr,
    subnetLen: network.SubnetLen,
    subnetMin: addressOf(network.SubnetMin),
    subnetMax: addressOf(network.SubnetMax),
  });
  if ("refusal" in result) throw refusePool(result.refusal, refuse);
  return result.pool;
}

function refusePool(
  refusal: SubnetRefusal,
  refuse: Refuse,
): NetworkConfigError {
  const { key } = refusal;
  const code = key === "Network" ? "network.too-small" : CODES[key]!;
  return refuse({ ...refusal, code });
}

function addressOf(text: string | undefined): Ipv4 | undefined {
  return text === undefined ? undefined : parseIpv4(text);
}

function ignored(
  prefix: string,
  keys: readonly string[],
  known: readonly string[],
): IgnoredKey[] {
  return keys.map((key) => {
    const near = nearMatch(key, known);
    return {
      key: prefix + key,
      near: near === undefined ? undefined : prefix + near,
    };
  });
}
