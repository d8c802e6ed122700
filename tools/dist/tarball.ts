/**
 * `loden-VERSION-linux-ARCH.tar.gz`: unpacked into `/` without its first
 * directory, it is an installation.
 *
 * @module
 */

import { DOC, type LayoutEntry } from "./layout.ts";
import { output } from "./process.ts";
import type { Release } from "./release.ts";
import { stage } from "./stage.ts";
import { sumFiles } from "./sums.ts";

/** The tarball's name without its ending, and its first directory. */
export function tarballName({ architecture, version }: Release): string {
  return `loden-${version}-linux-${architecture}`;
}

/**
 * Makes it in `directory`: the same files, times and order give the same bytes.
 *
 * @returns its name.
 */
export async function makeTarball(
  release: Release,
  entries: readonly LayoutEntry[],
  binary: string,
  directory: string,
): Promise<string> {
  const name = tarballName(release);
  const work = await Deno.makeTempDir({ prefix: "loden-tarball-" });
  try {
    const tree = `${work}/${name}`;
    await stage(entries, binary, tree);
    const files = entries.filter(({ source }) => !("link" in source))
      .map(({ path }) => path);
    const sums = `${DOC}/SHA256SUMS`;
    await Deno.writeTextFile(`${tree}/${sums}`, await sumFiles(tree, files));
    await Deno.chmod(`${tree}/${sums}`, 0o644);
    const paths = [...entries.map(({ path }) => path), sums].sort();
    const archive = `${directory}/${name}.tar.gz`;
    await output([
      "tar",
      "--create",
      `--file=${archive}.part`,
      `--directory=${work}`,
      // Without the directories: unpacked into /, they are others' already.
      "--no-recursion",
      "--format=ustar",
      `--mtime=@${release.epochSeconds}`,
      "--owner=root:0",
      "--group=root:0",
      "--use-compress-program=gzip --no-name",
      "--",
      ...paths.map((path) => `${name}/${path}`),
    ]);
    await Deno.rename(`${archive}.part`, archive);
    return `${name}.tar.gz`;
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}
