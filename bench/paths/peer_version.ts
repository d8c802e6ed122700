/**
 * Which version of a program beside Loden was measured.
 *
 * @module
 */

import { attempt } from "../../tools/command.ts";
import type { PathName } from "./path_names.ts";

const COMMANDS: Readonly<Partial<Record<PathName, readonly string[]>>> = {
  fastd: ["fastd", "--version"],
  "wireguard-go": ["wireguard-go", "--version"],
  nebula: ["nebula", "-version"],
};

/** As the program prints it; `undefined` for what is no such program. */
export async function peerVersion(
  name: PathName,
): Promise<string | undefined> {
  const command = COMMANDS[name];
  if (command === undefined) return undefined;
  const { stderr, stdout } = await attempt(command);
  return /\d+(?:\.\d+)*/.exec(stdout + stderr)?.[0];
}
