/**
 * Reads every chain of the host that sees IPv4 packets, of all tools.
 *
 * iptables on nf_tables prints its own tables better than nft does, for which
 * their matches are opaque. The old iptables has tables that neither prints.
 *
 * @module
 */

import { describeError, LodenError } from "../../../errors.ts";
import type { CommandRunner } from "../../../linux/command.ts";
import { isProcessGone } from "../../../linux/proc.ts";
import { NoFirewallToolError } from "../errors.ts";
import { runTool } from "../run_tool.ts";
import type { BaseChain } from "./chains.ts";
import { iptablesBaseChains } from "./iptables_chains.ts";
import { nftBaseChains } from "./nft_chains.ts";

/** The rules, and why some of them could not be read. */
export interface HostChains {
  readonly chains: readonly BaseChain[];
  /** What may exist and is not in `chains`. */
  readonly unread: readonly string[];
}

/** Names of the tables that the old iptables has loaded; throws if unreadable. */
export type LegacyTables = () => string;

/** Tables that iptables on nf_tables keeps, in the family `ip`. */
export const IPTABLES_TABLES = /^(filter|nat|mangle|raw|security)$/;
/** iptables-save cannot print what nft has put into such a table. */
const INCOMPATIBLE = /^# Table `([^']+)' is incompatible, use 'nft' tool\.$/gm;

/** Never throws but for `signal`: what cannot be read is named. */
export async function readHostChains(
  runner: CommandRunner,
  signal: AbortSignal,
  legacyTables: LegacyTables = readLegacyTables,
): Promise<HostChains> {
  const unread: string[] = [];
  const attempt = async <T>(what: string, look: () => Promise<T>) => {
    try {
      return await look();
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof NoFirewallToolError) return undefined;
      if (!(error instanceof LodenError) && !isProcessGone(error)) throw error;
      unread.push(`${what}: ${describeError(error)}`);
      return undefined;
    }
  };
  const [version, saved, ruleset] = await Promise.all([
    attempt("iptables", () => run("iptables", ["--version"])),
    attempt("iptables", () => run("iptables-save", [])),
    attempt("nftables", () => run("nft", ["-j", "list", "ruleset"])),
  ]);
  const isModern = version?.includes("(nf_tables)") ?? false;
  const chains: BaseChain[] = [];
  if (saved !== undefined) {
    chains.push(...iptablesBaseChains(saved, "iptables"));
  }
  const foreign = [...saved?.matchAll(INCOMPATIBLE) ?? []].map(([, name]) =>
    name
  );
  if (ruleset !== undefined) {
    const isSaved = (name: string) =>
      isModern && saved !== undefined && !foreign.includes(name);
    await attempt("nftables", () =>
      Promise.resolve(chains.push(
        ...nftBaseChains(ruleset, ({ family, name }) =>
          family === "ip" && IPTABLES_TABLES.test(name) && isSaved(name)),
      )));
  }
  if (version === undefined || isModern) {
    const legacy = await attempt("iptables-legacy", readLegacy);
    if (legacy !== undefined) {
      chains.push(...iptablesBaseChains(legacy, "iptables-legacy"));
    }
  }
  if (saved === undefined && ruleset === undefined && unread.length === 0) {
    unread.push("there is no iptables and no nft");
  }
  return { chains, unread };

  function run(command: string, words: readonly string[]): Promise<string> {
    return runTool(runner, command, words, signal);
  }

  async function readLegacy(): Promise<string | undefined> {
    if (legacyTables().trim() === "") return undefined;
    try {
      return await run("iptables-legacy-save", []);
    } catch (error) {
      // Without the program its rules are there all the same.
      if (!(error instanceof NoFirewallToolError)) throw error;
      throw new LodenError(
        "firewall.unread",
        "its tables are loaded, and there is no program for them",
        {
          cause: error,
        },
      );
    }
  }
}

/** Empty where the module is not loaded. */
function readLegacyTables(): string {
  try {
    return Deno.readTextFileSync("/proc/net/ip_tables_names");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
