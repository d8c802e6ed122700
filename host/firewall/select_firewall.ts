/**
 * Which tool sets the rules on this host.
 *
 * @module
 */

import type { CommandRunner } from "../../linux/command.ts";
import { FirewallError, NoFirewallToolError } from "./errors.ts";
import type { Firewall } from "./firewall.ts";
import { IptablesFirewall } from "./iptables_firewall.ts";
import { NftablesFirewall } from "./nftables_firewall.ts";

/** The tool to use, and the others that work here. */
export interface FirewallSelection {
  readonly firewall: Firewall;
  /** Why that one, for the log. */
  readonly reason: string;
  /** May hold rules that this agent set when it was configured otherwise. */
  readonly others: readonly Firewall[];
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
  return { firewall, others, reason: reasonFor(firewall, options) };
}

/**
 * Every tool that works here: what `loden cleanup` has to look through. None:
 * there are no rules that one could have set.
 */
export async function workingFirewalls(
  runner: CommandRunner,
  signal: AbortSignal,
): Promise<Firewall[]> {
  return (await probe(runner, signal)).working;
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
