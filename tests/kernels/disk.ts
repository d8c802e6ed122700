/**
 * Disks and directories of the virtual machines.
 *
 * @module
 */

import { run } from "../../tools/command.ts";

/** Room for what ext4 keeps for itself. */
const SPARE = 1.25;
const SPARE_MEGABYTES = 16;

/** Writes an ext4 image with the content of `directory`, as large as it must be. */
export async function makeDisk(
  directory: string,
  image: string,
  signal: AbortSignal,
): Promise<void> {
  const used = await run(
    ["du", "--summarize", "--block-size=1M", directory],
    { signal },
  );
  const megabytes = Math.ceil(parseInt(used) * SPARE) + SPARE_MEGABYTES;
  await run([
    ...["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0"],
    ...["-d", directory, image, `${megabytes}M`],
  ], { signal });
}

/** A directory that is gone at the end of the scope. */
export async function temporaryDirectory(): Promise<
  AsyncDisposable & { readonly path: string }
> {
  const path = await Deno.makeTempDir({ prefix: "loden-kernels-" });
  return {
    path,
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}
