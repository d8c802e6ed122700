/**
 * Where system programs are found.
 *
 * @module
 */

/**
 * Adds the system directories to this process's PATH, and so to its children's:
 * `ip` and `ethtool` are in sbin, which a PATH after `su` or in cron lacks.
 */
export function extendSystemPath(): void {
  const path = (Deno.env.get("PATH") ?? "").split(":").filter((part) =>
    part !== ""
  );
  const system = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"];
  const missing = system.filter((directory) => !path.includes(directory));
  Deno.env.set("PATH", [...path, ...missing].join(":"));
}
