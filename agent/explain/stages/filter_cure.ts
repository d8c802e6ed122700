/**
 * What to type when a firewall rule drops overlay packets.
 *
 * @module
 */

import { OVERLAY_OPTIONS } from "../../../host/docker/daemon_options.ts";
import { DOCKER_TABLE } from "../../../host/firewall/docker_mark_plan.ts";
import type { HookVerdict } from "../../../host/firewall/evaluate/chains.ts";
import type { OverlaySight } from "../snapshot.ts";

/** Docker's own chains, and where it drops direct access (28 and later). */
const OF_DOCKER = /^DOCKER/;
const DIRECT_ACCESS = /(^| )! -i \S+ .*-j DROP$/;

/** One command, or what to do. */
export function filterCure(
  verdict: HookVerdict | undefined,
  overlay: OverlaySight | undefined,
): string {
  const by = verdict?.verdict === "drop" ? verdict.by : undefined;
  if (by === undefined) return "loden firewall show";
  const { chain, rule, table } = by;
  if (table === `nft ${DOCKER_TABLE}`) {
    return `start dockerd with ${OVERLAY_OPTIONS}`;
  }
  const isDockers = OF_DOCKER.test(chain) ||
    (table.endsWith(" raw") && DIRECT_ACCESS.test(rule));
  if (isDockers || rule.startsWith("policy ")) {
    return overlay?.forwardRules === false
      ? "start the agent with --iptables-forward-rules=true"
      : "loden firewall show says which of Loden's rules are missing; " +
        "systemctl restart loden sets them";
  }
  const iptables = /^(iptables\S*) (\S+)$/.exec(table);
  if (iptables !== null) {
    const [, command, name] = iptables;
    return `${command} -t ${name} -D ${chain} ${rule}`;
  }
  const handle = /^rule handle (\d+)/.exec(rule)?.[1];
  return handle === undefined
    ? "remove the rule, or accept the overlay's packets before it"
    : `nft delete rule ${table.replace(/^nft /, "")} ${chain} handle ${handle}`;
}
