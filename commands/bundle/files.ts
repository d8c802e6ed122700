/**
 * What of files goes into a bundle.
 *
 * @module
 */

import { FileReadError } from "../../linux/file_errors.ts";
import type { Gathered } from "./gather.ts";

/** The last lines of a file. Throws {@linkcode FileReadError}. */
export async function readEnd(path: string, bytes: number): Promise<string> {
  try {
    using file = await Deno.open(path);
    const { size } = await file.stat();
    const start = Math.max(0, size - bytes);
    await file.seek(start, Deno.SeekMode.Start);
    const text = await new Response(file.readable).text();
    // Half of a secret would not be recognised.
    return start === 0 ? text : text.slice(text.indexOf("\n") + 1);
  } catch (error) {
    throw new FileReadError(path, error);
  }
}

/** The content of files, and a list of those in directories. */
export async function readFiles(
  files: readonly string[],
  directories: readonly string[],
): Promise<Gathered> {
  const blocks: string[] = [];
  const missing: string[] = [];
  const attempt = async (
    what: string,
    read: () => Promise<string> | string,
  ) => {
    try {
      blocks.push(`# ${what}\n${await read()}`);
    } catch (error) {
      if (!(error instanceof Error && "code" in error)) throw error;
      missing.push(`${what}: ${error.message.split(" (os error")[0]}`);
    }
  };
  for (const path of directories) await attempt(path, () => listFiles(path));
  for (const path of files) {
    await attempt(path, () => Deno.readTextFile(path));
  }
  return { text: blocks.join("\n"), missing };
}

function listFiles(directory: string): string {
  return [...Deno.readDirSync(directory)].map(({ name }) => {
    const { mode, mtime, size, uid } = Deno.lstatSync(`${directory}/${name}`);
    const bits = ((mode ?? 0) & 0o7777).toString(8).padStart(4, "0");
    return `${bits} ${uid} ${size} ${mtime?.toISOString()} ${name}\n`;
  }).sort().join("");
}
