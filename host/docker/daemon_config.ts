/**
 * The parts of Docker's configuration file that matter to the overlay.
 *
 * @module
 */

import * as v from "valibot";
import { jsonIn } from "../../net/schemas.ts";

/** dockerd's default path. */
export const DAEMON_CONFIG_PATH = "/etc/docker/daemon.json";

/** The keys of daemon.json that matter here. */
export interface DaemonConfig {
  /** `"firewall-backend": "nftables"` (Docker 29 and later). */
  readonly usesNftables: boolean;
  /**
   * Keys in the file. Docker does not start if an option is both in the file
   * and on the command line.
   */
  readonly keys: ReadonlySet<string>;
}

/** The value for a host without the file or with an empty one. */
export const NO_DAEMON_CONFIG: DaemonConfig = {
  usesNftables: false,
  keys: new Set(),
};

const daemonSchema = v.looseObject({});

/** Parses the file's text; a file that dockerd would refuse counts as empty. */
export function parseDaemonConfig(text: string): DaemonConfig {
  const value = jsonIn(text);
  if (!v.is(daemonSchema, value)) return NO_DAEMON_CONFIG;
  return {
    usesNftables: value["firewall-backend"] === "nftables",
    keys: new Set(Object.keys(value)),
  };
}

/** Reads the file; an unreadable file counts as empty. */
export async function readDaemonConfig(
  path: string = DAEMON_CONFIG_PATH,
  readTextFile: (path: string) => Promise<string> = Deno.readTextFile,
): Promise<DaemonConfig> {
  try {
    return parseDaemonConfig(await readTextFile(path));
  } catch (error) {
    // It is Docker's file, and Docker reports what is wrong with it.
    if (error instanceof Error && "code" in error) return NO_DAEMON_CONFIG;
    throw error;
  }
}
