/**
 * SHA256SUMS, as `sha256sum --check` reads it.
 *
 * @module
 */

import { createHash } from "node:crypto";

/** The sums of files, by their paths below `directory`, sorted. */
export async function sumFiles(
  directory: string,
  paths: readonly string[],
): Promise<string> {
  const lines: string[] = [];
  for (const path of [...paths].sort()) {
    const bytes = await Deno.readFile(`${directory}/${path}`);
    const sum = createHash("sha256").update(bytes).digest("hex");
    lines.push(`${sum}  ${path}\n`);
  }
  return lines.join("");
}
