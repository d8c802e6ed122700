/**
 * Chooses the tool that sets the rules on this host.
 *
 * @module
 */

import type { CommandRunner } from "../../linux/command.ts";
import { FirewallError, NoFirewallToolError } from "./errors.ts";
import type { Firewall, RuleSet } from "./firewall.ts";
import { IptablesAntiSpoofing } from "./iptables_anti_spoofing.ts";
import { IptablesDockerPass } from "./iptables_docker_pass.ts";
import { IptablesFirewall } from "./iptables_firewall.ts";
import { NftablesAntiSpoofing } from "./nftables_anti_spoofing.ts";
import { NftablesDockerMark } from "./nftables_docker_mark.ts";
import { NftablesFirewall } from "./nftables_firewall.ts";
import { NftablesIpv6Table } from "./nftables_ipv6_table.ts";

/** The tool to use, and the others that work here. */
export interface FirewallSelection {
  readonly firewall: Firewall;
  /** The reason for the choice, for the log. */
  readonly reason: string;
  /** The rules against spoofing, set by the same tool. */
  readonly antiSpoofing: RuleSet;
  /**
   * Other tools, which may hold rules that this agent set under another
   * configuration.
   */
  readonly others: readonly RuleSet[];
  /** The bypasses of Docker's own rules, for both tools that Docker may use. */
  readonly forDocker: readonly RuleSet[];
}

/**
 * iptables if it works, because Docker uses it and only rules in the same
 * tables overrule its FORWARD policy; otherwise nft. With `EnableNFTables` in
 * the network config, nft comes first.
 *
 * @throws {NoFirewallToolError} if neither works.
 */
export async function selectFirewall(
  runner: CommandRunner,
  options: { enableNftables: boolean },
  signal: AbortSignal,
): Promise<FirewallSelection> {
  const { working, problems } = await probe(runner, signal);
  if (options.enableNftables) working.reverse();
  const [firewall, ...others] = working;
  if (firewall === undefined) throw new NoFirewallToolError(problems);
  const forDocker = dockerSets(runner, working);
  return {
    firewall,
    antiSpoofing: antiSpoofingSet(runner, firewall),
    others: [
      ...others,
      ...others.map((other) => antiSpoofingSet(runner, other)),
    ],
    forDocker,
    reason: reasonFor(firewall, options),
  };
}

/**
 * All rule sets of every tool that works here, for `loden cleanup` and `loden
 * firewall show`. If no tool works, there can be no rules.
 */
export async function workingRuleSets(
  runner: CommandRunner,
  signal: AbortSignal,
): Promise<RuleSet[]> {
  const { working } = await probe(runner, signal);
  return [
    ...working,
    ...working.map((firewall) => antiSpoofingSet(runner, firewall)),
    ...dockerSets(runner, working),
    ...working.some(({ tool }) => tool === "nftables")
      ? [new NftablesIpv6Table({ runner })]
      : [],
  ];
}

function antiSpoofingSet(
  runner: CommandRunner,
  { tool }: Firewall,
): RuleSet {
  return tool === "iptables"
    ? new IptablesAntiSpoofing({ runner })
    : new NftablesAntiSpoofing({ runner });
}

function dockerSets(
  runner: CommandRunner,
  working: readonly Firewall[],
): RuleSet[] {
  const tools = working.map(({ tool }) => tool);
  return [
    new IptablesDockerPass({ runner }),
    new NftablesDockerMark({ runner }),
  ].filter(({ tool }) => tools.includes(tool));
}

async function probe(
  runner: CommandRunner,
  signal: AbortSignal,
): Promise<{ working: Firewall[]; problems: string[] }> {
  const candidates = [
    new IptablesFirewall({ runner }),
    new NftablesFirewall({ runner }),
  ];
  const problems = await Promise.all(
    candidates.map((candidate) => problemOf(candidate, signal)),
  );
  return {
    working: candidates.filter((_, index) => problems[index] === undefined),
    problems: problems.filter((problem) => problem !== undefined),
  };
}

/**
 * Why a tool does not work here. Reading needs the same permissions as writing,
 * so it is a sufficient test.
 */
async function problemOf(
  firewall: Firewall,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    await firewall.remove({ dryRun: true }, signal);
    return undefined;
  } catch (error) {
    if (error instanceof FirewallError) return error.message;
    throw error;
  }
}

function reasonFor(
  firewall: Firewall,
  options: { enableNftables: boolean },
): string {
  const asked = options.enableNftables ? "nftables" : "iptables";
  if (firewall.tool !== asked) return `${asked} does not work here`;
  return options.enableNftables ? "EnableNFTables is set" : "iptables works";
}
