/**
 * Which tool sets the rules on this host.
 *
 * @module
 */

import type { CommandRunner } from "../../linux/command.ts";
import { FirewallError, NoFirewallToolError } from "./errors.ts";
import type { Firewall, RuleSet } from "./firewall.ts";
import { IptablesDockerPass } from "./iptables_docker_pass.ts";
import { IptablesFirewall } from "./iptables_firewall.ts";
import { NftablesDockerMark } from "./nftables_docker_mark.ts";
import { NftablesFirewall } from "./nftables_firewall.ts";

/** The tool to use, and the others that work here. */
export interface FirewallSelection {
  readonly firewall: Firewall;
  /** Why that one, for the log. */
  readonly reason: string;
  /** May hold rules that this agent set when it was configured otherwise. */
  readonly others: readonly Firewall[];
  /** What lets the overlay past Docker's own rules, whichever tool Docker uses. */
  readonly forDocker: readonly RuleSet[];
}

/**
 * iptables where it works, as Docker uses it and its FORWARD policy is only
 * overruled in the same tables; else nft. `EnableNFTables` in the network config
 * asks for nft first.
 *
 * @throws {NoFirewallToolError} when neither is there and works.
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
  const forDocker = dockerSets(runner, [firewall, ...others]);
  return {
    firewall,
    others,
    forDocker,
    reason: reasonFor(firewall, options),
  };
}

/**
 * All rules of every tool that works here: what `loden cleanup` and `loden
 * firewall show` have to look through. None: there are no rules that one could
 * have set.
 */
export async function workingRuleSets(
  runner: CommandRunner,
  signal: AbortSignal,
): Promise<RuleSet[]> {
  const { working } = await probe(runner, signal);
  return [...working, ...dockerSets(runner, working)];
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

/** Why a tool does not work here; reading needs all that writing does. */
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
