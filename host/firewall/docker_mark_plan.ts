/**
 * Marks overlay packets for a Docker that uses nftables.
 *
 * Docker's nftables rules (29 and later, `--firewall-backend=nftables`) drop in
 * a table of their own, which no accept in another table overrules. Docker
 * accepts marked packets instead: with `--bridge-accept-fwmark`
 * (moby/moby#50476). The table here marks packets that arrive on the overlay
 * device, from the overlay, for this host's subnet, before Docker's chains see
 * them. Packets that arrive without encapsulation are marked if their source is
 * routed by the device on which they arrive (`docker_pass_plan.ts`).
 *
 * @module
 */

import { type Cidr, formatCidr } from "../../net/cidr.ts";
import { fnv1a } from "../../net/fnv1a.ts";
import { type FirewallRules, overlayDevices } from "./firewall.ts";
import type { ListedRule, NftChains } from "./nftables_text.ts";
import {
  type FirewallChange,
  NO_CHANGE,
  replacedNetworks,
} from "./planned_rules.ts";

/** Our table, in nft's notation. */
export const DOCKER_MARK_TABLE = "ip loden-docker";
/** Docker's table, if it uses nftables. */
export const DOCKER_TABLE = "ip docker-bridges";
/**
 * One bit that kube-proxy (0x4000, 0x8000) and Tailscale (0xff0000) do not use.
 */
export const DOCKER_MARK = 0x0100_0000;

const CHAIN = "prerouting";
const COMMENT = "loden docker";
/** After the raw chains, before any forward chain. */
const DEFINITION = "type filter hook prerouting priority -150; policy accept;";

/** The change that marks packets if Docker's table exists, and only then. */
export function planDockerMark(
  table: NftChains,
  dockerUsesNftables: boolean,
  rules: FirewallRules,
): FirewallChange {
  const { network, forward } = rules;
  const wanted = forward && dockerUsesNftables ? markingRules(rules) : [];
  const networks = replacedNetworks(rules);
  const { ours, others } = split(table, networks);
  const comments = wanted.map((text) => `${label(network)} ${fnv1a(text)}`);
  if (rules.directDevices === "kept" && forward && dockerUsesNftables) {
    const present = new Set(ours.map(({ comment }) => comment));
    if (comments.every((each) => present.has(each))) return NO_CHANGE;
  }
  if (wanted.length === 0) return remove(table, networks);
  if (comments.join() === ours.map(({ comment }) => comment).join()) {
    return NO_CHANGE;
  }
  const count = others.length + wanted.length;
  return {
    lines: [
      `write chain ${CHAIN} of table ${DOCKER_MARK_TABLE}, ` +
      `${count} rules (${others.length} not of this network)`,
    ],
    script: [
      `add table ${DOCKER_MARK_TABLE}`,
      `add chain ${DOCKER_MARK_TABLE} ${CHAIN} { ${DEFINITION} }`,
      ...deletions(ours),
      ...wanted.map((text, at) =>
        `add rule ${DOCKER_MARK_TABLE} ${CHAIN} ${text} ` +
        `comment "${comments[at]}"`
      ),
    ].map((line) => `${line}\n`).join(""),
  };
}

function markingRules(rules: FirewallRules): string[] {
  const { network, subnet, directDevices } = rules;
  const mark = `0x${DOCKER_MARK.toString(16).padStart(8, "0")}`;
  const rule = (devices: readonly string[], condition = "") => {
    const names = devices.map((device) => `"${device}"`).join(", ");
    const set = devices.length === 1 ? names : `{ ${names} }`;
    return `iifname ${set} ip saddr ${formatCidr(network)} ` +
      `ip daddr ${formatCidr(subnet)} ${condition}` +
      `meta mark set meta mark or ${mark}`;
  };
  const overlays = overlayDevices(rules);
  return [
    ...overlays.length > 0 ? [rule(overlays)] : [],
    ...directDevices && directDevices !== "kept" && directDevices.length > 0
      ? [rule(directDevices, "fib saddr . iif oif exists ")]
      : [],
  ];
}

/** The change that removes one network's mark, or all of them. */
export function planDockerMarkRemoval(
  table: NftChains,
  network: Cidr | undefined,
): FirewallChange {
  return network === undefined ? removeTable(table) : remove(table, [network]);
}

function remove(
  table: NftChains,
  networks: readonly Cidr[],
): FirewallChange {
  const { ours, others } = split(table, networks);
  if (others.length === 0) return removeTable(table);
  if (ours.length === 0) return NO_CHANGE;
  return {
    lines: [
      `remove ${ours.length} rules from chain ${CHAIN} of table ` +
      DOCKER_MARK_TABLE,
    ],
    script: deletions(ours).map((line) => `${line}\n`).join(""),
  };
}

function removeTable(table: NftChains): FirewallChange {
  if (table === undefined) return NO_CHANGE;
  const rules = [...table.values()].flat().length;
  return {
    lines: [`remove table ${DOCKER_MARK_TABLE}, ${rules} rules`],
    script: `delete table ${DOCKER_MARK_TABLE}\n`,
  };
}

function split(
  table: NftChains,
  networks: readonly Cidr[],
): { ours: readonly ListedRule[]; others: readonly ListedRule[] } {
  const present = table?.get(CHAIN) ?? [];
  const isOurs = ({ comment }: ListedRule) =>
    networks.some((network) => comment.startsWith(`${label(network)} `));
  return {
    ours: present.filter(isOurs),
    others: present.filter((rule) => !isOurs(rule)),
  };
}

function deletions(rules: readonly ListedRule[]): string[] {
  return rules.map(({ handle }) =>
    `delete rule ${DOCKER_MARK_TABLE} ${CHAIN} handle ${handle}`
  );
}

function label(network: Cidr): string {
  return `${COMMENT} ${formatCidr(network)}`;
}
