/**
 * The environment of programs that Loden starts.
 *
 * It is fixed: nothing else of this process's own environment, which may hold the
 * password for etcd, reaches them. docs/configuration.md lists it.
 *
 * @module
 */

/** Where administration programs are; a service's PATH may lack them. */
const SYSTEM_DIRECTORIES = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
const DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin";

/** The lock that all iptables-legacy of a host must share, if it is not the default. */
const LOCK = "XTABLES_LOCKFILE";

/**
 * `PATH` as this process has it, with the system's directories at its end,
 * `LC_ALL=C`, because output is read, and `XTABLES_LOCKFILE` if it is set.
 */
export function childEnvironment(): Record<string, string> {
  const path = Deno.env.get("PATH") || DEFAULT_PATH;
  const lock = Deno.env.get(LOCK);
  return {
    LC_ALL: "C",
    PATH: [path, ...SYSTEM_DIRECTORIES].join(":"),
    ...(lock === undefined ? {} : { [LOCK]: lock }),
  };
}
