/**
 * Whether the daemon's own firewall rules drop overlay packets.
 *
 * @module
 */

import type { CommandRunner } from "../../linux/command.ts";
import { type Cidr, formatCidr, overlaps, parseCidr } from "../../net/cidr.ts";
import { DOCKER_TABLE } from "../firewall/docker_mark_plan.ts";
import {
  dropsDirectAccess,
  planDockerPass,
} from "../firewall/docker_pass_plan.ts";
import { NoFirewallToolError } from "../firewall/errors.ts";
import type { FirewallRules } from "../firewall/firewall.ts";
import type { IptablesTable } from "../firewall/iptables_text.ts";
import { IptablesTool } from "../firewall/iptables_tool.ts";
import { readNftTable } from "../firewall/nftables_table.ts";
import type { DaemonConfig } from "./daemon_config.ts";
import { OVERLAY_OPTIONS } from "./daemon_options.ts";
import type { DockerProblem } from "./docker_problem.ts";
import { parseIpv4 } from "../../net/ipv4.ts";

/** What the rules are compared with. */
export interface DropsContext {
  readonly network: Cidr;
  readonly subnet: Cidr;
  readonly overlayDevice: string | undefined;
  /** Where packets of peers arrive without encapsulation. */
  readonly directDevices: readonly string[];
  /**
   * `--iptables-forward-rules`: without it Loden does not bypass Docker's
   * drops.
   */
  readonly forward: boolean;
  /** `--ip-masq`: without it Docker masquerades, also towards other hosts. */
  readonly masquerade: boolean;
  readonly config: DaemonConfig;
}

/**
 * Reads the rules of both tools; a missing tool has none. Without devices of the
 * overlay there are no packets that Docker could drop.
 *
 * @throws {FirewallError} if a tool fails.
 */
export async function findDrops(
  runner: CommandRunner,
  context: DropsContext,
  signal: AbortSignal,
): Promise<DockerProblem | undefined> {
  const { overlayDevice, directDevices } = context;
  if (overlayDevice === undefined && directDevices.length === 0) {
    return undefined;
  }
  return await ifInstalled(() => findIptablesDrops(runner, context, signal)) ??
    await ifInstalled(() => findNftablesDrops(runner, context, signal));
}

async function ifInstalled<T>(
  look: () => Promise<T | undefined>,
): Promise<T | undefined> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof NoFirewallToolError) return undefined;
    throw error;
  }
}

async function findIptablesDrops(
  runner: CommandRunner,
  context: DropsContext,
  signal: AbortSignal,
): Promise<DockerProblem | undefined> {
  const tables = await new IptablesTool(runner).read(signal);
  if (!dropsDirectAccess(tables)) return undefined;
  const wanted: FirewallRules = {
    ...context,
    forward: true,
    randomFully: false,
  };
  const { lines } = planDockerPass(tables, wanted);
  if (lines.length > 0) {
    return problem(
      context,
      "Docker's iptables rules (28.0 and later)",
      context.forward ? "loden firewall show" : FORWARD_FLAG,
    );
  }
  return findMasquerade(tables, context);
}

/**
 * Packets that arrive without encapsulation are known by their source, which is
 * the host's own where Docker masquerades.
 */
function findMasquerade(
  tables: ReadonlyMap<string, IptablesTable>,
  { directDevices, masquerade, subnet }: DropsContext,
): DockerProblem | undefined {
  if (masquerade || directDevices.length === 0) return undefined;
  const source = `-s ${formatCidr(subnet)} `;
  const isThere = (tables.get("nat")?.get("POSTROUTING") ?? [])
    .some((rule) => rule.startsWith(source) && / -j MASQUERADE\b/.test(rule));
  return isThere
    ? {
      code: "docker.drops-overlay",
      text: `Docker masquerades what containers of ${formatCidr(subnet)} ` +
        "send to other hosts, and Docker 28 and later drops it there",
      fix: "start the agent with --ip-masq=true, then systemctl restart docker",
    }
    : undefined;
}

async function findNftablesDrops(
  runner: CommandRunner,
  context: DropsContext,
  signal: AbortSignal,
): Promise<DockerProblem | undefined> {
  const table = await readNftTable(runner, DOCKER_TABLE, signal);
  if (table === undefined) return undefined;
  const missing = missingDaemonOptions(table, context.subnet);
  const rules = "Docker's nftables rules";
  if (missing.length > 0) {
    return problem(
      context,
      `${rules}, because dockerd runs without ${missing.join(" and ")},`,
      // The options file has them only if daemon.json selects nftables.
      context.config.usesNftables
        ? "systemctl restart docker"
        : `start dockerd with ${OVERLAY_OPTIONS}`,
    );
  }
  return context.forward ? undefined : problem(context, rules, FORWARD_FLAG);
}

const FORWARD_FLAG = "start the agent with --iptables-forward-rules=true";

function problem(
  { subnet }: DropsContext,
  rules: string,
  fix: string,
): DockerProblem {
  return {
    code: "docker.drops-overlay",
    text: `${rules} drop packets from other hosts to the containers of ` +
      formatCidr(subnet),
    fix,
  };
}

/**
 * The options that the running daemon lacks, read from its own table; empty if
 * it accepts overlay packets or has no bridge on the lease.
 *
 * @param table `nft list table ip docker-bridges`.
 */
function missingDaemonOptions(
  table: string,
  subnet: Cidr,
): string[] {
  const missing: string[] = [];
  const isDropped = table.split("\n").some((line) => {
    const text = /^\s*ip daddr (\S+) iifname .*\bdrop\b/.exec(line)?.[1];
    if (text === undefined) return false;
    const address = parseIpv4(text);
    const destination = address === undefined
      ? parseCidr(text)
      : { address, prefixLength: 32 };
    return destination !== undefined && overlaps(subnet, destination);
  });
  if (isDropped) missing.push("--allow-direct-routing");
  if (
    table.includes('comment "UNPUBLISHED PORT DROP"') &&
    !table.includes('comment "ALLOW FW MARK"')
  ) {
    missing.push("--bridge-accept-fwmark");
  }
  return missing;
}
