/**
 * A Loden that is not this one: the sources once more, with a change in them.
 *
 * @module
 */

import { fromFileUrl } from "@std/path";
import { run } from "../../tools/command.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));
/** All that an agent is made of. */
const PARTS = [
  ...["agent", "backend", "commands", "config", "deno27", "host", "lease"],
  ...["linux", "net", "cli.ts", "mod.ts", "errors.ts", "version.ts"],
  ...["deno.json", "deno.lock"],
];

/** One line to be changed. */
export interface Change {
  /** From the root. */
  readonly path: string;
  readonly from: string;
  readonly to: string;
}

/**
 * Copies the sources into a new directory and changes them there.
 *
 * @returns the path of its `cli.ts`.
 */
export async function makeOtherVersion(
  directory: string,
  changes: readonly Change[],
): Promise<string> {
  await Deno.mkdir(directory);
  await run(["cp", "-r", ...PARTS.map((part) => ROOT + part), directory]);
  for (const { from, path, to } of changes) {
    const text = await Deno.readTextFile(`${directory}/${path}`);
    if (text.split(from).length !== 2) {
      throw new Error(
        `Cannot change ${path}: "${from}" must be in it once: it is there ` +
          `${text.split(from).length - 1} times`,
      );
    }
    await Deno.writeTextFile(`${directory}/${path}`, text.replace(from, to));
  }
  return `${directory}/cli.ts`;
}
