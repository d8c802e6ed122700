/**
 * The soak's command line.
 *
 * @module
 */

import { LodenError } from "../../errors.ts";

/** What `--help` says. */
export const SOAK_USAGE =
  `Usage: deno task soak [--minutes N] [--seed S] [--only TEXT]

Lets the faults of the tests happen to four hosts at random, under pings and TCP
streams, and watches what the agents use. Needs root and Linux.

  --minutes N   begin no other fault after N minutes (60)
  --seed S      the same faults in the same order as a run that printed S
  --only TEXT   only faults with this in their names
`;

/** What to do. */
export interface SoakOptions {
  readonly help: boolean;
  readonly minutes: number;
  readonly seed: number;
  /** Part of the names of the faults; empty for all. */
  readonly only: string;
}

/** Bad usage. `code` is `soak.usage`. */
export class SoakUsageError extends LodenError {
  constructor(message: string) {
    super("soak.usage", message, { hint: "see --help" });
  }
}

const SEEDS = 2 ** 32;

/** @throws {SoakUsageError} */
export function parseSoakOptions(
  args: readonly string[],
  freshSeed: () => number,
): SoakOptions {
  const words = args.flatMap((arg) =>
    /^--\w+=/.test(arg) ? [arg.slice(0, arg.indexOf("=")), after(arg)] : [arg]
  );
  const said = new Map<string, string>();
  let help = false;
  for (let i = 0; i < words.length; i++) {
    const name = words[i]!;
    if (name === "--help" || name === "-h") {
      help = true;
      continue;
    }
    if (!["--minutes", "--seed", "--only"].includes(name)) {
      throw new SoakUsageError(`Cannot soak: unknown argument ${name}`);
    }
    const value = words[++i];
    if (value === undefined) {
      throw new SoakUsageError(`Cannot soak: ${name} must have a value`);
    }
    said.set(name, value);
  }
  const minutes = Number(said.get("--minutes") ?? 60);
  if (!(minutes > 0)) {
    throw new SoakUsageError(
      "Cannot soak: --minutes must be more than 0: current value is " +
        said.get("--minutes"),
    );
  }
  const seed = Number(said.get("--seed") ?? freshSeed());
  if (!Number.isInteger(seed) || seed < 0 || seed >= SEEDS) {
    throw new SoakUsageError(
      "Cannot soak: --seed must be a whole number below 2^32: current value is " +
        said.get("--seed"),
    );
  }
  return { help, minutes, seed, only: said.get("--only") ?? "" };
}

function after(arg: string): string {
  return arg.slice(arg.indexOf("=") + 1);
}
