/**
 * Under which licences the embedded packages are, and their texts: most of them
 * ask that the text goes with every copy.
 *
 * @module
 */

import { DistError } from "./errors.ts";
import type { NpmPackage } from "./npm_packages.ts";
import type { LicensedPackage } from "./sbom.ts";

const LICENCE_FILE = /^(licen[cs]e|copying|notice)(\.\w+)*$/i;

/**
 * @throws {DistError} `dist.licence` when a package does not name its licence.
 */
export async function readLicence(
  each: NpmPackage,
): Promise<LicensedPackage> {
  const text = await Deno.readTextFile(`${each.directory}/package.json`);
  const { license } = JSON.parse(text) as { license?: unknown };
  if (typeof license === "string" && license !== "") {
    return { ...each, licence: license };
  }
  throw new DistError(
    "dist.licence",
    `Cannot pack ${each.name}: its package.json must name its licence: ` +
      `current value is ${JSON.stringify(license)}`,
  );
}

/** One after the other, each with its package's name above. */
export async function renderLicences(
  packages: Iterable<LicensedPackage>,
): Promise<string> {
  const parts: string[] = [];
  for (const { directory, licence, name, version } of packages) {
    const texts: string[] = [];
    for (const file of [...Deno.readDirSync(directory)].sort(byName)) {
      if (!file.isFile || !LICENCE_FILE.test(file.name)) continue;
      const text = await Deno.readTextFile(`${directory}/${file.name}`);
      texts.push(`\n${text.trim()}\n`);
    }
    parts.push(`${name} ${version}: ${licence}\n${texts.join("")}`);
  }
  return parts.join(`\n${"-".repeat(72)}\n\n`);
}

function byName(a: Deno.DirEntry, b: Deno.DirEntry): number {
  return a.name < b.name ? -1 : 1;
}
