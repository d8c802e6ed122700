/**
 * The options that a running daemon has.
 *
 * @module
 */

import { jsonIn } from "../../net/schemas.ts";

/** Values by the daemon's names: `bip`, `userland-proxy`. */
export type EngineOptions = ReadonlyMap<string, string>;

/**
 * From its command line and from daemon.json, of which Docker accepts only one for
 * each option. Of a repeated one the last counts.
 *
 * @param words the command line, with the program.
 * @param config the text of daemon.json; empty without one.
 */
export function engineOptions(
  words: readonly string[],
  config: string,
): EngineOptions {
  const options = new Map<string, string>(configEntries(config));
  for (const [index, word] of words.entries()) {
    const match = /^--([a-z0-9-]+)(?:=(.*))?$/s.exec(word);
    if (match === null) continue;
    const next = words[index + 1];
    const value = match[2] ??
      (VALUED.includes(match[1]!) && next !== undefined ? next : "true");
    options.set(match[1]!, value);
  }
  return options;
}

/** Options that are of interest here, and whose value may be the next word. */
const VALUED = ["bip", "mtu", "bridge", "fixed-cidr", "firewall-backend"];

function configEntries(config: string): [string, string][] {
  const value = jsonIn(config);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value)
    .filter(([, each]) => ["string", "number", "boolean"].includes(typeof each))
    .map(([name, each]) => [name, String(each)]);
}
