/**
 * Everything that is handed out, from a binary.
 *
 * @module
 */

import { makeDebianPackage } from "./debian_package.ts";
import { layout } from "./layout.ts";
import type { Format } from "./options.ts";
import { readRelease } from "./release.ts";
import { renderFiles } from "./render.ts";
import { sumFiles } from "./sums.ts";
import { makeTarball } from "./tarball.ts";

/** What to make from what. */
export interface DistPlan {
  /** The path of the binary. */
  readonly binary: string;
  readonly formats: readonly Format[];
  /** The directory that the files are put into; it is made. */
  readonly out: string;
  readonly signal?: AbortSignal;
}

const MAKERS = { tarball: makeTarball, deb: makeDebianPackage };

/**
 * @returns the names of the files, SHA256SUMS last.
 * @throws {DistError}
 */
export async function makeDist(
  { binary, formats, out, signal }: DistPlan,
): Promise<string[]> {
  const release = await readRelease(binary);
  const rendered = await renderFiles(release, binary);
  const entries = layout(rendered);
  await Deno.mkdir(out, { recursive: true });
  const made: string[] = [];
  for (const format of formats) {
    signal?.throwIfAborted();
    made.push(await MAKERS[format](release, entries, binary, out));
  }
  const sbom = `loden-${release.version}.cdx.json`;
  await Deno.writeTextFile(`${out}/${sbom}`, rendered.sbom);
  made.push(sbom);
  await Deno.writeTextFile(`${out}/SHA256SUMS`, await sumFiles(out, made));
  return [...made, "SHA256SUMS"];
}
