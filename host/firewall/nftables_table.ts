/**
 * Reads one table with nft.
 *
 * @module
 */

import type { CommandRunner } from "../../linux/command.ts";
import { FirewallRefusedError } from "./errors.ts";
import { type NftChains, parseNftTable } from "./nftables_text.ts";
import { PlannedRules } from "./planned_rules.ts";
import { runBounded, runTool } from "./run_tool.ts";

/**
 * The table with its rules' handles, as `nft -a list table` prints it;
 * `undefined` if there is none.
 *
 * @param table family and name: `ip flannel-ipv4`.
 * @throws {FirewallError}
 */
export async function readNftTable(
  runner: CommandRunner,
  table: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const words = ["-a", "list", "table", ...table.split(" ")];
  const result = await runBounded(runner, "nft", words, signal);
  if (result.code === 0) return result.stdout;
  if (result.stderr.includes("No such file or directory")) return undefined;
  throw new FirewallRefusedError(["nft", ...words].join(" "), result);
}

/** Rules in one table of nftables. */
export abstract class NftablesRules<State> extends PlannedRules<State> {
  readonly tool = "nftables";
  protected readonly command = "nft";
  protected readonly runner: CommandRunner;
  /** Family and name. */
  protected abstract readonly table: string;

  constructor(components: { runner: CommandRunner }) {
    super();
    this.runner = components.runner;
  }

  reportsChanges(): Promise<boolean> {
    return Promise.resolve(true);
  }

  async list(signal: AbortSignal): Promise<string[]> {
    const chains = await this.readChains(signal);
    return [...chains ?? []].flatMap(([chain, rules]) =>
      rules.map(({ text }) => `${this.table} ${chain}: ${text}`)
    );
  }

  /** The chains of the table; `undefined` when there is none. */
  protected async readChains(signal: AbortSignal): Promise<NftChains> {
    const text = await readNftTable(this.runner, this.table, signal);
    return text === undefined ? undefined : parseNftTable(text);
  }

  protected async apply(script: string, signal: AbortSignal): Promise<void> {
    await runTool(this.runner, "nft", ["-f", "-"], signal, script);
  }
}
