/**
 * Which Loden is packed, for which machine, and the time that its files bear.
 *
 * @module
 */

import { VERSION } from "../../version.ts";
import {
  type RecoveredRuntime,
  recoveredRuntimeOf,
} from "../compile/denort_recovery.ts";
import { DistError } from "./errors.ts";
import { output } from "./process.ts";

/** As Debian and flannel name them. */
export type Architecture = "amd64" | "arm64";

/** What the files of a distribution are named and stamped by. */
export interface Release {
  readonly version: string;
  readonly architecture: Architecture;
  /** Seconds since 1970, UTC: of the commit, not of the build. */
  readonly epochSeconds: number;
  readonly runtime: PackedRuntime;
}

/** The Deno that is in a binary. */
export interface PackedRuntime {
  readonly denoVersion: string;
  /** `undefined` when it is the official one. */
  readonly recovered: RecoveredRuntime | undefined;
}

/** `e_machine` of an ELF header, at byte 18 (System V ABI; elf.h). */
const MACHINES: Readonly<Record<number, Architecture>> = {
  0x3e: "amd64",
  0xb7: "arm64",
};
const ELF_MAGIC = 0x7f454c46;

/** @throws {DistError} `dist.binary`, `dist.time`. */
export async function readRelease(binary: string): Promise<Release> {
  const architecture = architectureOf(await readHeader(binary), binary);
  return {
    version: VERSION,
    architecture,
    epochSeconds: await readEpoch(),
    runtime: await readRuntime(binary, architecture),
  };
}

async function readRuntime(
  binary: string,
  architecture: Architecture,
): Promise<PackedRuntime> {
  const recovered = await recoveredRuntimeOf(binary);
  if (recovered !== undefined) {
    return { denoVersion: recovered.denoVersion, recovered };
  }
  // One for another machine cannot be asked; deno compile makes it with its own.
  const denoVersion = architecture === thisArchitecture()
    ? await denoVersionOf(binary)
    : Deno.version.deno;
  return { denoVersion, recovered };
}

function thisArchitecture(): Architecture {
  return Deno.build.arch === "x86_64" ? "amd64" : "arm64";
}

async function denoVersionOf(binary: string): Promise<string> {
  const path = await Deno.realPath(binary);
  const { deno } = JSON.parse(await output([path, "version", "--json"]));
  return deno;
}

/**
 * @param header the first 20 bytes of a program.
 * @throws {DistError} `dist.binary` when it is not for a machine that Loden
 * knows.
 */
export function architectureOf(
  header: Uint8Array,
  path: string,
): Architecture {
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  const isElf = header.length >= 20 && view.getUint32(0) === ELF_MAGIC;
  const architecture = isElf ? MACHINES[view.getUint16(18, true)] : undefined;
  if (architecture !== undefined) return architecture;
  throw new DistError(
    "dist.binary",
    `Cannot pack ${path}: it must be a program for x86-64 or arm64 Linux`,
    { hint: "deno task compile makes it" },
  );
}

async function readHeader(path: string): Promise<Uint8Array> {
  try {
    using file = await Deno.open(path);
    const header = new Uint8Array(20);
    const length = await file.read(header);
    return header.subarray(0, length ?? 0);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new DistError(
      "dist.binary",
      `Cannot pack ${path}: it must exist`,
      { cause, hint: "deno task compile makes it" },
    );
  }
}

/** https://reproducible-builds.org/specs/source-date-epoch/ */
async function readEpoch(): Promise<number> {
  const told = Deno.env.get("SOURCE_DATE_EPOCH");
  const text = told ?? await output(
    ["git", "log", "--max-count=1", "--format=%ct"],
  );
  const seconds = Number(text.trim());
  if (Number.isSafeInteger(seconds) && seconds > 0) return seconds;
  throw new DistError(
    "dist.time",
    "Cannot stamp the files: SOURCE_DATE_EPOCH must be seconds since 1970: " +
      `current value is ${text}`,
  );
}
