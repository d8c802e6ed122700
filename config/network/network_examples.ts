/**
 * Valid values, for the errors of a network config.
 *
 * @module
 */

import { type Cidr, cidrOf, formatCidr, parseCidr } from "../../net/cidr.ts";
import { formatIpv4, parseIpv4 } from "../../net/ipv4.ts";
import type { JsonObject } from "./network_json.ts";
import { NO_RULES, subnetPoolOf } from "./network_subnets.ts";

const EXAMPLE_NETWORK = "10.1.0.0/16";

/** Examples that do not depend on the rest of the config. */
const FIXED: Readonly<Record<string, unknown>> = {
  EnableIPv4: true,
  EnableIPv6: false,
  EnableNFTables: true,
  IPv6Network: "fc00::/48",
  IPv6SubnetLen: 64,
  IPv6SubnetMin: "fc00:0:0:1::",
  IPv6SubnetMax: "fc00:0:0:ffff::",
};

/** The config's `Network`, if it is valid. */
export function networkOf(config: JsonObject): Cidr | undefined {
  const text = config["Network"];
  return typeof text === "string" ? parseCidr(text) : undefined;
}

/** A valid value for `path`, in the config's own Network if it has one. */
export function exampleFor(path: string, config: JsonObject): unknown {
  if (path in FIXED) return FIXED[path];
  if (path === "Network") return networkExample(config["Network"]);
  const network = networkOf(config) ?? parseCidr(EXAMPLE_NETWORK)!;
  const result = subnetPoolOf({ ...NO_RULES, network });
  if ("refusal" in result) return result.refusal.example;
  const { subnetLength, first, last } = result.pool;
  if (path === "SubnetLen") return subnetLength;
  return formatIpv4(path === "SubnetMin" ? first : last);
}

/** An address without a length gets one. */
function networkExample(current: unknown): string {
  const text = typeof current === "string" ? current.split("/")[0]! : "";
  const address = parseIpv4(text);
  if (address === undefined || address >>> 16 === 0) return EXAMPLE_NETWORK;
  return formatCidr(cidrOf(address, 16));
}
