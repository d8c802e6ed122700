/**
 * What this agent leaves on the host, written down for `loden cleanup`: so that
 * it needs to be told the network's prefix only, and removes nobody else's.
 *
 * The file lies in the run directory and is gone after a reboot, as is all that
 * it names except files.
 *
 * @module
 */

import * as v from "valibot";
import { writeFileAtomically } from "../../linux/atomic_file.ts";
import { type Cidr, formatCidr } from "../../net/cidr.ts";
import { cidrText } from "../../net/schemas.ts";
import { RunDirectoryError } from "../errors.ts";
import type { InstancePaths } from "./instance.ts";

/** Beside devices, which carry their owner's name in their alias. */
export interface Footprint {
  /**
   * For who knows the file only, as the Debian package's scripts do: its name
   * does not tell all of a long prefix, nor whether it begins with a `/`. An
   * agent of an earlier version has not written it down.
   */
  readonly etcdPrefix?: string;
  /** The whole overlay: firewall rules and the unreachable route are its. */
  readonly network: Cidr;
  /** This host's subnet, for a blackhole route. */
  readonly subnet: Cidr;
  /** Written for Docker and others. */
  readonly files: readonly string[];
  /** What `loden firewall show` holds the rules against. */
  readonly firewall?: FirewallFootprint;
}

/** Which firewall rules the agent keeps, beside what the network says. */
export interface FirewallFootprint {
  readonly masquerade: boolean;
  readonly forward: boolean;
  readonly randomFully: boolean;
  readonly enableNftables: boolean;
}

/** The alias of every device that an agent of `etcdPrefix` makes. */
export function deviceAlias(etcdPrefix: string): string {
  return `loden:${etcdPrefix}`;
}

/** Where the footprint is kept. */
export function footprintPath(paths: InstancePaths): string {
  return `${paths.runDir}/${paths.name}.json`;
}

/** @throws {FileWriteError} */
export async function writeFootprint(
  paths: InstancePaths,
  { etcdPrefix, network, subnet, files, firewall }: Footprint,
): Promise<void> {
  const text = JSON.stringify({
    schema: 1,
    etcdPrefix,
    network: formatCidr(network),
    subnet: formatCidr(subnet),
    files,
    firewall,
  });
  await writeFileAtomically(footprintPath(paths), `${text}\n`, { mode: 0o600 });
}

/**
 * `undefined` when there is none, or one that cannot be understood.
 *
 * @throws {RunDirectoryError} when this user may not read it.
 */
export async function readFootprint(
  paths: InstancePaths,
): Promise<Footprint | undefined> {
  const path = footprintPath(paths);
  let value: unknown;
  try {
    value = JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    const isAbsent = error instanceof Deno.errors.NotFound ||
      error instanceof SyntaxError;
    if (isAbsent) return undefined;
    throw new RunDirectoryError("read", path, error);
  }
  const result = v.safeParse(footprintSchema, value);
  return result.success ? result.output : undefined;
}

const footprintSchema = v.object({
  etcdPrefix: v.exactOptional(v.string()),
  network: cidrText,
  subnet: cidrText,
  files: v.array(v.string()),
  firewall: v.exactOptional(v.object({
    masquerade: v.boolean(),
    forward: v.boolean(),
    randomFully: v.boolean(),
    enableNftables: v.boolean(),
  })),
});
