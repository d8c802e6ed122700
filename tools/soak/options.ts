/**
 * The soak's command line.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
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
  const { help, ...said } = parseArgs([...args], {
    boolean: ["help"],
    string: ["minutes", "seed", "only"],
    alias: { h: "help" },
    unknown: (word: string) => {
      throw new SoakUsageError(`Cannot soak: unknown argument ${word}`);
    },
  });
  for (const name of ["minutes", "seed", "only"] as const) {
    if (said[name] === "") {
      throw new SoakUsageError(`Cannot soak: --${name} must have a value`);
    }
  }
  const minutes = Number(said.minutes ?? 60);
  if (!(minutes > 0)) {
    throw new SoakUsageError(
      "Cannot soak: --minutes must be more than 0: current value is " +
        said.minutes,
    );
  }
  const seed = Number(said.seed ?? freshSeed());
  if (!Number.isInteger(seed) || seed < 0 || seed >= SEEDS) {
    throw new SoakUsageError(
      "Cannot soak: --seed must be a whole number below 2^32: current value is " +
        said.seed,
    );
  }
  return { help, minutes, seed, only: said.only ?? "" };
}
