/**
 * What a failed command prints, and the exit code it ends with.
 *
 * @module
 */

import { exitCodes } from "../agent/exit_codes.ts";
import {
  AgentInNamespaceError,
  AgentNotRunningError,
  AgentRunningError,
  AgentSilentError,
  FlanneldRunningError,
  SubnetChangedError,
} from "../agent/errors.ts";
import { SettingsError } from "../config/errors.ts";
import { describeError, LodenError } from "../errors.ts";
import type { CommandIo } from "./command.ts";
import { withoutControls } from "./terminal/controls.ts";

/** A command has waited for etcd as long as it may. */
export class EtcdUnavailableError extends LodenError {}

/** Prints one line; for a bug, the stack as well. */
export function printError(io: Pick<CommandIo, "stderr">, error: unknown) {
  io.stderr(`loden: ${oneLine(describeError(error))}\n`);
  if (isDefect(error)) io.stderr(`${stackOf(error)}\n`);
}

/** The row of `agent/exit_codes.ts` for an error that ended a command. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof SettingsError) return exitCodes.usage;
  if (
    error instanceof AgentRunningError ||
    error instanceof AgentInNamespaceError ||
    error instanceof FlanneldRunningError
  ) {
    return exitCodes.alreadyRunning;
  }
  if (
    error instanceof AgentNotRunningError || error instanceof AgentSilentError
  ) return exitCodes.notRunning;
  if (error instanceof EtcdUnavailableError) return exitCodes.unavailable;
  if (error instanceof SubnetChangedError) return exitCodes.subnetChanged;
  return isDefect(error) ? exitCodes.internal : exitCodes.failed;
}

/** Whether this error is unexpected: every expected error has a class. */
function isDefect(error: unknown): boolean {
  return !(error instanceof LodenError);
}

function stackOf(error: unknown): string {
  return error instanceof Error && error.stack !== undefined
    ? error.stack
    : String(error);
}

function oneLine(text: string): string {
  return withoutControls(text.replaceAll(/\s*[\r\n]+\s*/g, " "));
}
