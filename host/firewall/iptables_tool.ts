/**
 * Runs iptables: reads all rules as one text and applies changes as another.
 *
 * @module
 */

import type { CommandRunner } from "../../linux/command.ts";
import { type IptablesTable, parseIptablesSave } from "./iptables_text.ts";
import { PlannedRules } from "./planned_rules.ts";
import { runTool } from "./run_tool.ts";

/** Seconds to wait for another program that holds the xtables lock. */
const LOCK_SECONDS = 5;

/** Every loaded table by its name. */
export type IptablesTables = ReadonlyMap<string, IptablesTable>;

/** iptables-save and iptables-restore, legacy or on nf_tables. */
export class IptablesTool {
  readonly #runner: CommandRunner;
  /** Its name, such as `iptables-legacy`. */
  readonly command: string;
  #version: string | undefined;

  /** @param command a name of iptables, such as `iptables-legacy`. */
  constructor(runner: CommandRunner, command = "iptables") {
    this.#runner = runner;
    this.command = command;
  }

  async read(signal: AbortSignal): Promise<IptablesTables> {
    // All loaded tables; reading a table by name would load it.
    return parseIptablesSave(
      await this.#run(`${this.command}-save`, [], signal),
    );
  }

  /** Applies changes in the form of iptables-restore. */
  async restore(script: string, signal: AbortSignal): Promise<void> {
    const words = ["--noflush"];
    if (await this.isModern(signal)) words.push(`--wait=${LOCK_SECONDS}`);
    await this.#run(`${this.command}-restore`, words, signal, script);
  }

  /** Whether this is 1.6.2 or later: --random-fully, and --wait when restoring. */
  async isModern(signal: AbortSignal): Promise<boolean> {
    return isAtLeast162(await this.#readVersion(signal));
  }

  /** Whether this iptables stands on nf_tables; the legacy one does not. */
  async usesNfTables(signal: AbortSignal): Promise<boolean> {
    return (await this.#readVersion(signal)).includes("(nf_tables)");
  }

  async #readVersion(signal: AbortSignal): Promise<string> {
    this.#version ??= await this.#run(this.command, ["--version"], signal);
    return this.#version;
  }

  #run(
    command: string,
    words: readonly string[],
    signal: AbortSignal,
    stdin?: string,
  ): Promise<string> {
    return runTool(this.#runner, command, words, signal, stdin);
  }
}

/** Rules in the tables of iptables. */
export abstract class IptablesRules extends PlannedRules<IptablesTables> {
  readonly tool = "iptables";
  protected readonly iptables: IptablesTool;

  /** @param options.command another name of iptables, such as `iptables-legacy`. */
  constructor(
    components: { runner: CommandRunner },
    options: { command?: string } = {},
  ) {
    super();
    this.iptables = new IptablesTool(components.runner, options.command);
  }

  protected get command(): string {
    return this.iptables.command;
  }

  reportsChanges(signal: AbortSignal): Promise<boolean> {
    return this.iptables.usesNfTables(signal);
  }

  protected read(signal: AbortSignal): Promise<IptablesTables> {
    return this.iptables.read(signal);
  }

  protected apply(script: string, signal: AbortSignal): Promise<void> {
    return this.iptables.restore(script, signal);
  }
}

function isAtLeast162(version: string): boolean {
  const numbers = /v(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number);
  if (numbers === undefined) return false;
  const [major, minor, patch] = numbers as [number, number, number];
  return major * 10_000 + minor * 100 + patch >= 10_602;
}
