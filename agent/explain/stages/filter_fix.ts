/**
 * What to type when a firewall rule drops packets.
 *
 * A rule that names what it drops is to be deleted. Before a rule or a policy that
 * drops everything, the packets are to be accepted: deleting it would open the
 * host.
 *
 * @module
 */

import { OVERLAY_OPTIONS } from "../../../host/docker/daemon_options.ts";
import { DOCKER_TABLE } from "../../../host/firewall/docker_mark_plan.ts";
import type {
  DecidingRule,
  HookVerdict,
} from "../../../host/firewall/evaluate/chains.ts";
import { formatCidr } from "../../../net/cidr.ts";
import type { OuterTraffic } from "../../../net/underlay.ts";
import type { OverlayFacts } from "../snapshot.ts";

/** Docker's own chains, and where it drops direct access (28 and later). */
const OF_DOCKER = /^DOCKER/;
const DIRECT_ACCESS = /(^| )! -i \S+ .*-j DROP$/;
const POLICY = /^policy /;
/** A rule of iptables without a condition. */
const OF_ALL = /^(-m comment --comment ("[^"]*"|\S+) )?-j /;
const UDP = 17;

/** @param traffic of outer packets; `undefined` for packets of the overlay. */
export function filterFix(
  verdict: HookVerdict | undefined,
  overlay: OverlayFacts | undefined,
  traffic?: OuterTraffic,
): string {
  const by = verdict?.verdict === "drop" ? verdict.by : undefined;
  if (by === undefined) return "loden firewall show";
  if (by.table === `nft ${DOCKER_TABLE}`) {
    return `start dockerd with ${OVERLAY_OPTIONS}`;
  }
  if (traffic === undefined && isLodens(by)) {
    return overlay?.forwardRules === false
      ? "start the agent with --iptables-forward-rules=true"
      : "loden firewall show says which of Loden's rules are missing; " +
        "systemctl restart loden sets them";
  }
  const accepted = traffic ?? overlay?.network;
  if (accepted === undefined) {
    return "accept the overlay's packets before that rule";
  }
  const [command, name] = by.table.split(" ");
  if (command === "nft") {
    return `nft insert rule ${by.table.slice("nft ".length)} ${by.chain} ${
      nftMatch(accepted)
    } accept`;
  }
  return POLICY.test(by.rule) || OF_ALL.test(by.rule)
    ? `${command} -t ${name} -I ${by.chain} ${iptablesMatch(accepted)} ` +
      "-j ACCEPT"
    : `${command} -t ${name} -D ${by.chain} ${by.rule}`;
}

/** Whether Loden's own rules let packets pass it: not a chain of another program. */
function isLodens({ chain, rule, table }: DecidingRule): boolean {
  const isForward = chain === "FORWARD" && table.endsWith(" filter");
  return OF_DOCKER.test(chain) || (isForward && POLICY.test(rule)) ||
    (table.endsWith(" raw") && DIRECT_ACCESS.test(rule));
}

type Accepted = OuterTraffic | OverlayFacts["network"];

function iptablesMatch(accepted: Accepted): string {
  if (!("protocol" in accepted)) {
    return `-s ${formatCidr(accepted)} -d ${formatCidr(accepted)}`;
  }
  const { port, protocol } = accepted;
  const name = protocol === UDP ? "udp" : `${protocol}`;
  return port === undefined ? `-p ${name}` : `-p ${name} --dport ${port}`;
}

function nftMatch(accepted: Accepted): string {
  if (!("protocol" in accepted)) {
    return `ip saddr ${formatCidr(accepted)} ip daddr ${formatCidr(accepted)}`;
  }
  const { port, protocol } = accepted;
  return port === undefined
    ? `ip protocol ${protocol}`
    : `meta l4proto ${protocol} th dport ${port}`;
}
