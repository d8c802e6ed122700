/**
 * SHA256SUMS, as `sha256sum --check` reads it.
 *
 * @module
 */

/** The sums of files, by their paths below `directory`, sorted. */
export async function sumFiles(
  directory: string,
  paths: readonly string[],
): Promise<string> {
  const lines: string[] = [];
  for (const path of [...paths].sort()) {
    const bytes = await Deno.readFile(`${directory}/${path}`);
    const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    lines.push(`${sum.toHex()}  ${path}\n`);
  }
  return lines.join("");
}
