/**
 * The tree's test files.
 *
 * @module
 */

import { fromFileUrl } from "@std/path";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));

/** Paths of all files under `tests/` that hold tests, from the root, in order. */
export function testFiles(folder = "tests"): string[] {
  return [...Deno.readDirSync(ROOT + folder)].flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) return testFiles(path);
    return entry.name.endsWith("_test.ts") ? [path] : [];
  }).sort();
}
