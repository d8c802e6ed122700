/**
 * Programs that a test makes up.
 *
 * @module
 */

import {
  CommandMissingError,
  type CommandOptions,
  type CommandResult,
  type CommandRunner,
} from "../../linux/command.ts";

/** What a made-up program answers; parts left out are 0 and empty. */
export type FakeProgram = (
  words: readonly string[],
  stdin: string | undefined,
) => Partial<CommandResult>;

/** Has the programs that it is given, and keeps what was run. */
export class FakeCommandRunner implements CommandRunner {
  /** Command lines, in the order in which they were run. */
  readonly runs: string[] = [];
  readonly programs: Map<string, FakeProgram>;

  constructor(programs: Readonly<Record<string, FakeProgram>>) {
    this.programs = new Map(Object.entries(programs));
  }

  run(
    command: string,
    words: readonly string[],
    { stdin, signal }: CommandOptions,
  ): Promise<CommandResult> {
    if (signal.aborted) return Promise.reject(signal.reason);
    this.runs.push([command, ...words].join(" "));
    const program = this.programs.get(command);
    if (program === undefined) {
      const cause = new Deno.errors.NotFound("no such file");
      return Promise.reject(new CommandMissingError(command, cause));
    }
    const result = {
      code: 0,
      stdout: "",
      stderr: "",
      ...program(words, stdin),
    };
    return Promise.resolve(result);
  }
}
