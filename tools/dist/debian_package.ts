/**
 * `loden_VERSION_ARCH.deb`, made by Debian's own tools from `packaging/debian/`.
 *
 * @module
 */

import type { LayoutEntry } from "./layout.ts";
import { output, ROOT } from "./process.ts";
import type { Release } from "./release.ts";
import { stage } from "./stage.ts";

/** `Maintainer:` of `packaging/debian/control`. */
const MAINTAINER = /^Maintainer: (.+)$/m;

/** As Debian names its files. */
export function debianPackageName({ architecture, version }: Release): string {
  return `loden_${version}_${architecture}.deb`;
}

/**
 * Makes it in `directory`: the same files and times give the same bytes.
 *
 * @returns its name.
 */
export async function makeDebianPackage(
  release: Release,
  entries: readonly LayoutEntry[],
  binary: string,
  directory: string,
): Promise<string> {
  const name = debianPackageName(release);
  const work = await Deno.makeTempDir({ prefix: "loden-deb-" });
  try {
    // debian/copyright has the licence.
    const files = entries.filter(({ path }) => !path.endsWith("/LICENSE"));
    await stage(files, binary, `${work}/source/tree`);
    const source = `${work}/source`;
    await output(["cp", "-R", `${ROOT}packaging/debian`, `${source}/debian`]);
    const control = await Deno.readTextFile(`${source}/debian/control`);
    await Deno.writeTextFile(
      `${source}/debian/control`,
      describeRuntime(control, release),
    );
    await Deno.writeTextFile(
      `${source}/debian/changelog`,
      renderChangelog(release, MAINTAINER.exec(control)![1]!),
    );
    await output(["debian/rules", "binary"], {
      cwd: source,
      env: {
        DEB_HOST_ARCH: release.architecture,
        SOURCE_DATE_EPOCH: String(release.epochSeconds),
      },
    });
    await Deno.copyFile(`${work}/${name}`, `${directory}/${name}.part`);
    await Deno.rename(`${directory}/${name}.part`, `${directory}/${name}`);
    return name;
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** `debian/control` with a last paragraph on the runtime in its description. */
export function describeRuntime(
  control: string,
  { runtime: { denoVersion, recovered } }: Pick<Release, "runtime">,
): string {
  const origin = recovered?.origin ?? "the official one";
  return `${control.trimEnd()}\n .\n The runtime inside is Deno ${denoVersion},\n ` +
    `${origin}.\n`;
}

/** deb-changelog(5). */
export function renderChangelog(
  { epochSeconds, version }: Release,
  maintainer: string,
): string {
  const date = new Date(epochSeconds * 1_000).toUTCString()
    .replace("GMT", "+0000");
  return [
    `loden (${version}) unstable; urgency=medium`,
    "",
    `  * Loden ${version}.`,
    "",
    ` -- ${maintainer}  ${date}`,
    "",
  ].join("\n");
}
