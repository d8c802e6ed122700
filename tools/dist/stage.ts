/**
 * The files of an installation, laid out in a directory.
 *
 * @module
 */

import { dirname } from "@std/path";
import type { LayoutEntry, Source } from "./layout.ts";
import { ROOT } from "./process.ts";

/** Writes every file below `directory`, whatever this process's umask is. */
export async function stage(
  entries: readonly LayoutEntry[],
  binary: string,
  directory: string,
): Promise<void> {
  for (const { path, source } of entries) {
    const place = `${directory}/${path}`;
    await Deno.mkdir(dirname(place), { recursive: true });
    await put(source, binary, place);
  }
  for (const { path } of entries) {
    for (let up = dirname(path); up !== "."; up = dirname(up)) {
      await Deno.chmod(`${directory}/${up}`, 0o755);
    }
  }
}

async function put(
  source: Source,
  binary: string,
  place: string,
): Promise<void> {
  if ("link" in source) return await Deno.symlink(source.link, place);
  if ("text" in source) {
    await Deno.writeTextFile(place, source.text);
  } else {
    const from = "file" in source ? `${ROOT}${source.file}` : binary;
    await Deno.copyFile(from, place);
  }
  await Deno.chmod(place, "binary" in source ? 0o755 : 0o644);
}
