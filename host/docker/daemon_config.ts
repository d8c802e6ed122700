/**
 * What Docker's own configuration file says about the overlay's matters.
 *
 * @module
 */

/** Where dockerd reads it, unless it is told otherwise. */
export const DAEMON_CONFIG_PATH = "/etc/docker/daemon.json";

/** The keys of daemon.json that matter here. */
export interface DaemonConfig {
  /** `"firewall-backend": "nftables"` (Docker 29 and later). */
  readonly usesNftables: boolean;
  /**
   * Keys that stand in the file. Docker does not start when an option is in the
   * file and on the command line.
   */
  readonly keys: ReadonlySet<string>;
}

/** Of a host without the file, or with one that says nothing. */
export const NO_DAEMON_CONFIG: DaemonConfig = {
  usesNftables: false,
  keys: new Set(),
};

/** Reads the file's text; one that dockerd would refuse too says nothing. */
export function parseDaemonConfig(text: string): DaemonConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return NO_DAEMON_CONFIG;
  }
  if (typeof value !== "object" || value === null) return NO_DAEMON_CONFIG;
  const keys = new Set(Object.keys(value));
  const backend = (value as Record<string, unknown>)["firewall-backend"];
  return { usesNftables: backend === "nftables", keys };
}

/** Reads the file; one that cannot be read says nothing. */
export async function readDaemonConfig(
  path: string = DAEMON_CONFIG_PATH,
  readTextFile: (path: string) => Promise<string> = Deno.readTextFile,
): Promise<DaemonConfig> {
  try {
    return parseDaemonConfig(await readTextFile(path));
  } catch (error) {
    // It is Docker's file: whatever is wrong with it, Docker will say.
    if (error instanceof Error && "code" in error) return NO_DAEMON_CONFIG;
    throw error;
  }
}
