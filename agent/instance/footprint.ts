/**
 * Records what this agent leaves on the host, for `loden cleanup`, which then
 * needs only the network's prefix and removes nothing of other networks.
 *
 * The file is in the run directory and disappears with a reboot, like
 * everything that it lists except files.
 *
 * @module
 */

import * as v from "valibot";
import type { BackendConfig } from "../../config/network/backend_spec.ts";
import { writeFileAtomically } from "../../linux/atomic_file.ts";
import { type Cidr, formatCidr } from "../../net/cidr.ts";
import { cidrText, jsonIn } from "../../net/schemas.ts";
import { RunDirectoryError } from "../errors.ts";
import type { InstancePaths } from "./instance.ts";

/** Everything except devices, whose alias names their owner. */
export interface Footprint {
  /**
   * For the Debian package's scripts, which know only the file: its name does
   * not contain all of a long prefix, nor whether it begins with `/`. Earlier
   * versions did not record it.
   */
  readonly etcdPrefix?: string;
  /**
   * The overlay network: firewall rules and the unreachable route belong to it.
   */
  readonly network: Cidr;
  /** This host's subnet, for a blackhole route. */
  readonly subnet: Cidr;
  /**
   * The network's backend, and former ones that peers still use. Earlier versions
   * did not record them.
   */
  readonly backends?: readonly BackendConfig[];
  /** The files for Docker and other programs. */
  readonly files: readonly string[];
  /** What `loden firewall show` compares the rules with. */
  readonly firewall?: FirewallFootprint;
}

/** The firewall rules that the agent keeps. */
export interface FirewallFootprint {
  readonly masquerade: boolean;
  readonly forward: boolean;
  readonly randomFully: boolean;
  readonly enableNftables: boolean;
  /** An agent of an earlier version has not written it down. */
  readonly antiSpoofing?: boolean;
}

/** The alias of every device that an agent of `etcdPrefix` creates. */
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
  { etcdPrefix, network, subnet, backends, files, firewall }: Footprint,
): Promise<void> {
  const text = JSON.stringify({
    schema: 1,
    etcdPrefix,
    network: formatCidr(network),
    subnet: formatCidr(subnet),
    backends,
    files,
    firewall,
  });
  await writeFileAtomically(footprintPath(paths), `${text}\n`, { mode: 0o600 });
}

/**
 * `undefined` if there is none, or none that can be understood.
 *
 * @throws {RunDirectoryError} if this user may not read it.
 */
export async function readFootprint(
  paths: InstancePaths,
): Promise<Footprint | undefined> {
  const path = footprintPath(paths);
  try {
    return parseFootprint(await Deno.readTextFile(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new RunDirectoryError("read", path, error);
  }
}

/** `undefined` if it cannot be understood. */
export function parseFootprint(text: string): Footprint | undefined {
  const result = v.safeParse(footprintSchema, jsonIn(text));
  return result.success ? result.output : undefined;
}

const footprintSchema = v.object({
  etcdPrefix: v.exactOptional(v.string()),
  network: cidrText,
  subnet: cidrText,
  backends: v.exactOptional(v.array(v.object({
    type: v.string(),
    options: v.record(v.string(), v.unknown()),
  }))),
  files: v.array(v.string()),
  firewall: v.exactOptional(v.object(
    {
      masquerade: v.boolean(),
      forward: v.boolean(),
      randomFully: v.boolean(),
      enableNftables: v.boolean(),
      antiSpoofing: v.exactOptional(v.boolean()),
      // A field that the schema leaves out would be lost in reading.
    } satisfies Record<keyof FirewallFootprint, unknown>,
  )),
});
