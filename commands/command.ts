/**
 * What a command gets and returns.
 *
 * @module
 */

import type { FlagSpec } from "../config/flag_spec.ts";
import type { CommandSummary } from "./help/help_text.ts";

/**
 * The process around a command, as an interface, so that a command can be
 * tested without a process.
 */
export interface CommandIo {
  /** The words after the command's name. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** @returns false if the reader has closed its end. */
  stdout(text: string): boolean;
  stderr(text: string): void;
  /** What stdout is, as of now; `undefined`: not a terminal. */
  terminal(): Terminal | undefined;
  /**
   * What stderr is; `undefined` also if the terminal cannot change a line that it
   * shows.
   */
  errorTerminal(): Terminal | undefined;
  /** Calls `handler` at each arrival; the returned function ends that. */
  onSignal(signal: Deno.Signal, handler: () => void): () => void;
  /** Calls `handler` for uncaught errors; `undefined` ends that. */
  onUncaught(handler: UncaughtHandler | undefined): void;
  /** Ends the process at once: for a second signal only. */
  exitNow(code: number): never;
}

/** What people look at. */
export interface Terminal {
  readonly columns: number;
  readonly rows: number;
  /** Not with `NO_COLOR`, and not on a terminal that has none. */
  readonly colors: boolean;
}

/** What a command works with: the process, and its place among the commands. */
export interface CommandContext extends CommandIo {
  /** The command's own row of the table. */
  readonly entry: CommandEntry;
  /** All rows, for help and completion. */
  readonly table: readonly CommandEntry[];
}

/** @returns whether the process can continue. */
export type UncaughtHandler = (error: unknown) => boolean;

/** Does the work and returns the exit code (`agent/exit_codes.ts`). */
export type Command = (context: CommandContext) => Promise<number> | number;

/** The command that runs when the first word is a flag, or there is none. */
export const DEFAULT_COMMAND = "agent";

/** A row of the command table. */
export interface CommandEntry extends CommandSummary {
  /** What follows the name in its usage line. */
  readonly synopsis: string;
  /** The flags that its help shows; `acceptedFlags` has those that it takes. */
  readonly flags: readonly FlagSpec[];
  /** Loads only the command that runs. */
  readonly load: () => Promise<{ readonly run: Command }>;
}
