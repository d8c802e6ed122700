/**
 * The arguments of `deno task dist`.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { LodenError } from "../../errors.ts";
import { RUNTIME_KINDS, type RuntimeKind } from "../compile/compile_runtime.ts";

/** What can be made. */
export const FORMATS = ["tarball", "deb"] as const;

/** One of {@linkcode FORMATS}. */
export type Format = typeof FORMATS[number];

/** See {@linkcode DIST_USAGE}. */
export interface DistOptions {
  readonly help: boolean;
  /** `undefined`: it is compiled. */
  readonly binary: string | undefined;
  /** What is compiled; a recovered one is packed only where this says so. */
  readonly runtime: RuntimeKind;
  readonly out: string;
  readonly formats: readonly Format[];
  /** `undefined`: nothing is signed. */
  readonly signKey: string | undefined;
}

/** How it is called. */
export const DIST_USAGE =
  `Usage: deno task dist [--binary=PATH] [--runtime=KIND] [--out=DIR] [--only=tarball|deb]
                       [--sign-key=FILE]

  --binary=PATH   pack this; by default the binary is compiled first
  --runtime=KIND  official (the default), or recovered: compile with that runtime,
                  and pack a binary that has it (docs/binary.md)
  --out=DIR       where to (default dist)
  --only=FORMAT   tarball or deb; by default both
  --sign-key=FILE sign SHA256SUMS with this SSH key (docs/installation.md)`;

/** Arguments that cannot be right. `code` is `dist.usage`. */
export class DistUsageError extends LodenError {
  constructor(message: string) {
    super("dist.usage", message);
  }
}

/** @throws {DistUsageError} */
export function parseDistOptions(args: readonly string[]): DistOptions {
  const {
    _: words,
    binary,
    help,
    only,
    out,
    runtime: kind,
    "sign-key": signKey,
  } = parseArgs([...args], {
    boolean: ["help"],
    string: ["binary", "only", "out", "runtime", "sign-key"],
    default: { out: "dist", runtime: "official" },
    unknown(argument: string) {
      throw new DistUsageError(
        `Cannot make a distribution: ${argument} must be a known argument`,
      );
    },
  });
  const formats = FORMATS.filter((each) => only === undefined || each === only);
  const runtime = RUNTIME_KINDS.find((each) => each === kind);
  const isEmpty = binary === "" || out === "" || signKey === "";
  if (words.length > 0 || formats.length === 0 || !runtime || isEmpty) {
    throw new DistUsageError(
      `Cannot make a distribution: --only must be one of ` +
        `${FORMATS.join(", ")}, --runtime one of ${
          RUNTIME_KINDS.join(", ")
        }, ` +
        `and the others must have values: current arguments are ` +
        args.join(" "),
    );
  }
  return { help, binary, runtime, out, formats, signKey };
}
