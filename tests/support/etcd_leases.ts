/**
 * etcd's own leases, as its command line tells of them.
 *
 * @module
 */

/** Runs `etcdctl` and returns what it wrote. */
export type EtcdCtl = (...args: string[]) => Promise<string>;

/** The id of the etcd lease that a key hangs on, hexadecimal. */
export async function etcdLeaseOf(ctl: EtcdCtl, key: string): Promise<string> {
  const said = await ctl("get", key, "--write-out=fields");
  const id = /^"Lease" : (\d+)$/m.exec(said)?.[1];
  if (id === undefined) throw new Error(`Cannot find the key ${key}: ${said}`);
  return BigInt(id).toString(16);
}

/** Ids of those without keys, which will never be renewed or revoked. */
export async function orphanedEtcdLeases(ctl: EtcdCtl): Promise<string[]> {
  const orphans: string[] = [];
  for (const id of (await ctl("lease", "list")).split("\n").slice(1)) {
    if (id === "") continue;
    // One that ends in between has no keys either, and says so otherwise.
    const said = await ctl("lease", "timetolive", id, "--keys");
    if (said.includes("attached keys([])")) orphans.push(id);
  }
  return orphans;
}
