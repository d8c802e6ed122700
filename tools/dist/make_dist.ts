/**
 * Everything that is handed out, from a binary.
 *
 * @module
 */

import { makeDebianPackage } from "./debian_package.ts";
import { layout } from "./layout.ts";
import type { RuntimeKind } from "../compile/compile_runtime.ts";
import { DistError } from "./errors.ts";
import type { Format } from "./options.ts";
import { readRelease, type Release } from "./release.ts";
import { renderFiles } from "./render.ts";
import { removeSignature, SIGNATURE, signSums, SUMS } from "./sign.ts";
import { sumFiles } from "./sums.ts";
import { makeTarball } from "./tarball.ts";

/** What to make from what. */
export interface DistPlan {
  /** The path of the binary. */
  readonly binary: string;
  readonly formats: readonly Format[];
  /** A binary with a recovered runtime is packed only where this says so. */
  readonly runtime: RuntimeKind;
  /** The directory that the files are put into; it is made. */
  readonly out: string;
  /** Signs the sums, see {@linkcode signSums}; by default nothing is signed. */
  readonly signKey?: string | undefined;
  readonly signal?: AbortSignal;
}

const MAKERS = { tarball: makeTarball, deb: makeDebianPackage };

/**
 * @returns the names of the files, SHA256SUMS and its signature last.
 * @throws {DistError}
 */
export async function makeDist(
  { binary, formats, out, runtime, signal, signKey }: DistPlan,
): Promise<string[]> {
  const release = await readRelease(binary);
  refuseRecovered(release, runtime, binary);
  const rendered = await renderFiles(release);
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
  await removeSignature(out);
  await Deno.writeTextFile(`${out}/${SUMS}`, await sumFiles(out, made));
  if (signKey === undefined) return [...made, SUMS];
  await signSums(out, signKey);
  return [...made, SUMS, SIGNATURE];
}

/** A failed download must not lead to such a binary. */
function refuseRecovered(
  { runtime: { recovered } }: Release,
  runtime: RuntimeKind,
  binary: string,
): void {
  if (recovered === undefined || runtime === "recovered") return;
  const { denoVersion, origin } = recovered;
  throw new DistError(
    "dist.runtime",
    `Cannot pack ${binary}: its runtime must be the official one: current ` +
      `value is Deno ${denoVersion}, ${origin}`,
    { hint: "deno task dist --runtime=recovered packs it all the same" },
  );
}
