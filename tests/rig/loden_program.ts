/**
 * Which Loden the rig runs: the binary that `LODEN_BINARY` names, else the
 * sources.
 *
 * @module
 */

import { fromFileUrl, resolve } from "@std/path";
import { run } from "../../tools/command.ts";

/** The sources' program. */
export const CLI_PATH: string = fromFileUrl(
  new URL("../../cli.ts", import.meta.url),
);

/** The binary's path; none where the sources run. */
export function lodenBinary(): string | undefined {
  const path = Deno.env.get("LODEN_BINARY");
  return path === undefined || path === "" ? undefined : resolve(path);
}

/** `binary` or `source`. */
export function lodenProgram(): "binary" | "source" {
  return lodenBinary() === undefined ? "source" : "binary";
}

/**
 * The first words of a Loden command line; of another version's sources by
 * `cliPath`.
 *
 * Not through `npx`: inside a namespace without a way out it would wait for the
 * package registry.
 */
export function lodenCommand(cliPath?: string): string[] {
  const binary = lodenBinary();
  return cliPath === undefined && binary !== undefined
    ? [binary]
    : [Deno.execPath(), "run", "-A", cliPath ?? CLI_PATH];
}

/** Downloads what the sources import: agents run without a way to the registry. */
export async function prepareLoden(signal: AbortSignal): Promise<void> {
  if (lodenProgram() === "binary") return;
  await run([Deno.execPath(), "cache", "--quiet", CLI_PATH], { signal });
}
