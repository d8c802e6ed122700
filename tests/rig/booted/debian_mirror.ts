/**
 * The mirror from which this machine gets its Debian packages.
 *
 * @module
 */

const SOURCES = "/etc/apt/sources.list.d/debian.sources";
const OLD_SOURCES = "/etc/apt/sources.list";

/** Its address, from apt's own files. */
export async function debianMirror(): Promise<string> {
  for (const path of [SOURCES, OLD_SOURCES]) {
    const mirror = findMirror(await readIfPresent(path));
    if (mirror !== undefined) return mirror;
  }
  throw new Error(
    `Cannot fetch Debian packages: ${SOURCES} or ${OLD_SOURCES} must name a ` +
      "mirror of Debian: none does",
  );
}

function findMirror(text: string): string | undefined {
  return /^(?:URIs:|deb\s+(?:\[[^\]]*\])?)\s*(\S+\/debian)\/?(?:\s|$)/m
    .exec(text)?.[1];
}

async function readIfPresent(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
