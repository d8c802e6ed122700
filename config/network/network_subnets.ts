/**
 * Which subnets hosts may lease under a network config: flannel HEAD's rules
 * (compat 2.3, `CheckNetworkConfig`), each with a valid value.
 *
 * @module
 */

import {
  type Cidr,
  cidrOf,
  cidrSize,
  contains,
  formatCidr,
  lastAddress,
} from "../../net/cidr.ts";
import { formatIpv4, type Ipv4, toIpv4 } from "../../net/ipv4.ts";
import { LONGEST_SUBNET, type SubnetPool } from "../../net/subnet_pool.ts";

/** The values that decide; 0 and `undefined` mean "not given". */
export interface SubnetRules {
  readonly network: Cidr;
  readonly subnetLen: number | undefined;
  readonly subnetMin: Ipv4 | undefined;
  readonly subnetMax: Ipv4 | undefined;
}

/** Only the Network is given. */
export const NO_RULES: Omit<SubnetRules, "network"> = {
  subnetLen: undefined,
  subnetMin: undefined,
  subnetMax: undefined,
};

/** A value that breaks a rule. */
export interface SubnetRefusal {
  readonly key: "Network" | "SubnetLen" | "SubnetMin" | "SubnetMax";
  /** Ends the sentence "… must be". */
  readonly rule: string;
  readonly current: string | number;
  /** A value for the key that would pass. */
  readonly example: string | number;
}

/** A network needs room for four subnets, of which the first is not leased. */
const SPARE_BITS = 2;
const DEFAULT_SUBNET_LENGTH = 24;
const LONGEST_NETWORK = LONGEST_SUBNET - SPARE_BITS;

/** Applies the rules. */
export function subnetPoolOf(
  rules: SubnetRules,
): { pool: SubnetPool } | { refusal: SubnetRefusal } {
  const { network } = rules;
  const refusal = checkNetwork(network) ??
    checkLength(network, rules.subnetLen);
  if (refusal) return { refusal };
  const subnetLength = rules.subnetLen || defaultLength(network);
  const size = cidrSize({
    address: network.address,
    prefixLength: subnetLength,
  });
  const end = lastAddress(network) + 1;
  const pool: SubnetPool = {
    network,
    subnetLength,
    // The first subnet is not leased: its first address is that of the Network,
    // which old systems take for "all hosts".
    first: rules.subnetMin || toIpv4(network.address + size),
    last: rules.subnetMax || toIpv4(end - size),
  };
  const problem = checkBound("SubnetMin", pool.first, pool) ??
    checkBound("SubnetMax", pool.last, pool) ?? checkOrder(pool, rules);
  return problem ? { refusal: problem } : { pool };
}

/** The default length. */
function defaultLength({ prefixLength }: Cidr): number {
  return Math.max(DEFAULT_SUBNET_LENGTH, prefixLength + SPARE_BITS);
}

function checkNetwork(network: Cidr): SubnetRefusal | undefined {
  const { address, prefixLength } = network;
  if (prefixLength <= LONGEST_NETWORK) return undefined;
  return {
    key: "Network",
    rule: `a /${LONGEST_NETWORK} or larger, with room for four subnets`,
    current: formatCidr(network),
    example: formatCidr(cidrOf(address, LONGEST_NETWORK)),
  };
}

function checkLength(
  network: Cidr,
  length: number | undefined,
): SubnetRefusal | undefined {
  const shortest = network.prefixLength + SPARE_BITS;
  if (!length || (length >= shortest && length <= LONGEST_SUBNET)) {
    return undefined;
  }
  return {
    key: "SubnetLen",
    rule: `from ${shortest} to ${LONGEST_SUBNET} in ${formatCidr(network)}, ` +
      `which must have room for four subnets`,
    current: length,
    example: length > LONGEST_SUBNET ? LONGEST_SUBNET : shortest,
  };
}

function checkBound(
  key: "SubnetMin" | "SubnetMax",
  address: Ipv4,
  { network, subnetLength }: SubnetPool,
): SubnetRefusal | undefined {
  const subnet = cidrOf(address, subnetLength);
  const size = cidrSize(subnet);
  const last = lastAddress(network) + 1 - size;
  if (!contains(network, address)) {
    return {
      key,
      rule: `in ${formatCidr(network)}`,
      current: formatIpv4(address),
      example: formatIpv4(
        toIpv4(key === "SubnetMin" ? network.address + size : last),
      ),
    };
  }
  if (subnet.address === address) return undefined;
  const above = address - subnet.address > size / 2;
  const nearest = Math.min(last, subnet.address + (above ? size : 0));
  return {
    key,
    rule: `the first address of a /${subnetLength} (SubnetLen)`,
    current: formatIpv4(address),
    example: formatIpv4(toIpv4(nearest)),
  };
}

/** flannel finds this out only when it looks for a free subnet. */
function checkOrder(
  { first, last }: SubnetPool,
  { subnetMin }: SubnetRules,
): SubnetRefusal | undefined {
  if (first <= last) return undefined;
  // Name a value that was given, not one derived from it.
  return subnetMin
    ? {
      key: "SubnetMin",
      rule: `at most ${formatIpv4(last)}, the last subnet (SubnetMax)`,
      current: formatIpv4(first),
      example: formatIpv4(last),
    }
    : {
      key: "SubnetMax",
      rule: `at least ${formatIpv4(first)}, the first subnet (SubnetMin)`,
      current: formatIpv4(last),
      example: formatIpv4(first),
    };
}
