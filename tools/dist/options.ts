/**
 * The arguments of `deno task dist`.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { LodenError } from "../../errors.ts";

/** What can be made. */
export const FORMATS = ["tarball", "deb"] as const;

/** One of {@linkcode FORMATS}. */
export type Format = typeof FORMATS[number];

/** See {@linkcode DIST_USAGE}. */
export interface DistOptions {
  readonly help: boolean;
  /** `undefined`: it is compiled. */
  readonly binary: string | undefined;
  readonly out: string;
  readonly formats: readonly Format[];
}

/** How it is called. */
export const DIST_USAGE =
  `Usage: deno task dist [--binary=PATH] [--out=DIR] [--only=tarball|deb]

  --binary=PATH  pack this; by default the binary is compiled first
  --out=DIR      where to (default dist)
  --only=FORMAT  tarball or deb; by default both`;

/** Arguments that cannot be right. `code` is `dist.usage`. */
export class DistUsageError extends LodenError {
  constructor(message: string) {
    super("dist.usage", message);
  }
}

/** @throws {DistUsageError} */
export function parseDistOptions(args: readonly string[]): DistOptions {
  const { _: words, binary, help, only, out } = parseArgs([...args], {
    boolean: ["help"],
    string: ["binary", "only", "out"],
    default: { out: "dist" },
    unknown(argument: string) {
      throw new DistUsageError(
        `Cannot make a distribution: ${argument} must be a known argument`,
      );
    },
  });
  const formats = FORMATS.filter((each) => only === undefined || each === only);
  if (words.length > 0 || formats.length === 0 || binary === "" || out === "") {
    throw new DistUsageError(
      `Cannot make a distribution: --only must be one of ` +
        `${FORMATS.join(", ")}, and the others must have values: current ` +
        `arguments are ${args.join(" ")}`,
    );
  }
  return { help, binary, out, formats };
}
