/**
 * The shape of `<prefix>/config` (compat 2.2): types and ranges of single values.
 * Rules that relate several values are in `network_subnets.ts`.
 *
 * `docs/network-config.schema.json` is generated from this schema.
 *
 * @module
 */

import * as v from "valibot";
import { LONGEST_SUBNET } from "../../net/subnet_pool.ts";

const OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const ADDRESS = `${OCTET}(\\.${OCTET}){3}`;
const IPV4 = new RegExp(`^${ADDRESS}$`);
const IPV4_CIDR = new RegExp(`^${ADDRESS}/(3[0-2]|[12]?[0-9])$`);

// The messages end the sentence "… must be".
const CIDR_RULE = "an IPv4 network in CIDR notation";
const ADDRESS_RULE = "an IPv4 address";
const LENGTH_RULE = `a whole number from 0 to ${LONGEST_SUBNET}`;
const BOOL_RULE = "true or false";

const address = v.pipe(v.string(ADDRESS_RULE), v.regex(IPV4, ADDRESS_RULE));
const ipv6Text = v.optional(v.string("text"));

/**
 * The network config but for `Backend`, which each backend has a schema of its own
 * for (`backend_spec.ts`). Unknown keys are ignored, as in flannel.
 */
export const networkSchema = v.object({
  Network: v.pipe(
    v.string(CIDR_RULE),
    v.regex(IPV4_CIDR, CIDR_RULE),
    v.description("the overlay network, which contains every host's subnet"),
  ),
  SubnetLen: v.optional(v.pipe(
    v.number(LENGTH_RULE),
    v.integer(LENGTH_RULE),
    v.minValue(0, LENGTH_RULE),
    v.maxValue(LONGEST_SUBNET, LENGTH_RULE),
    v.description(
      "prefix length of each host's subnet, at least 2 more than that of " +
        "Network (default 24, or 2 more than Network if that is longer than /22)",
    ),
  )),
  SubnetMin: v.optional(v.pipe(
    address,
    v.description(
      "first subnet that may be leased, given by its first address " +
        "(default: the second subnet of Network)",
    ),
  )),
  SubnetMax: v.optional(v.pipe(
    address,
    v.description(
      "last subnet that may be leased, given by its first address " +
        "(default: the last subnet of Network)",
    ),
  )),
  EnableNFTables: v.optional(v.pipe(
    v.boolean(BOOL_RULE),
    v.description(
      "use nftables instead of iptables for firewall rules (default false)",
    ),
  )),
  EnableIPv4: v.optional(v.pipe(
    v.boolean(BOOL_RULE),
    v.description("must not be false in this release (default true)"),
  )),
  EnableIPv6: v.optional(v.pipe(
    v.boolean(BOOL_RULE),
    v.description("must not be true in this release (default false)"),
  )),
  IPv6Network: v.pipe(ipv6Text, v.description("not used in this release")),
  IPv6SubnetLen: v.pipe(
    v.optional(v.number("a whole number")),
    v.description("not used in this release"),
  ),
  IPv6SubnetMin: v.pipe(ipv6Text, v.description("not used in this release")),
  IPv6SubnetMax: v.pipe(ipv6Text, v.description("not used in this release")),
});

/** A config of the right shape. */
export type NetworkJson = v.InferOutput<typeof networkSchema>;

/** A value of the wrong shape. */
export interface ShapeProblem {
  /** `Network`. */
  readonly path: string;
  /** Ends the sentence "… must be". */
  readonly rule: string;
  readonly missing: boolean;
  readonly current: unknown;
}

/** Checks the shape of a config whose keys have the schema's spelling. */
export function checkShape(
  value: Readonly<Record<string, unknown>>,
): { network: NetworkJson } | { problem: ShapeProblem } {
  const result = v.safeParse(networkSchema, value, { abortEarly: true });
  if (result.success) return { network: result.output };
  const [issue] = result.issues;
  const missing = issue.received === "undefined";
  return {
    problem: {
      path: v.getDotPath(issue) ?? "",
      rule: missing ? CIDR_RULE : issue.message,
      missing,
      current: issue.input,
    },
  };
}
