/**
 * The other agents of this host. Several networks may run side by side if each
 * has its own files.
 *
 * @module
 */

import { type Cidr, overlaps } from "../../net/cidr.ts";
import { FileOfOtherAgentError, NetworkOfOtherAgentError } from "../errors.ts";
import { type Footprint, readFootprint } from "./footprint.ts";
import type { InstancePaths } from "./instance.ts";
import { InstanceLock } from "./instance_lock.ts";

const FOOTPRINT = ".json";

/** Another running agent, and what it has recorded. */
interface OtherAgent {
  readonly name: string;
  readonly pid: number | undefined;
  readonly footprint: Footprint;
}

/**
 * Two agents that write one `subnet.env` give Docker the subnet of whichever
 * wrote last, and each takes the other's network for its own former one.
 *
 * @param files that the agent of `paths` is going to write.
 * @throws {FileOfOtherAgentError} if a running agent writes one of them.
 */
export async function refuseFilesOfOthers(
  paths: InstancePaths,
  files: readonly string[],
): Promise<void> {
  for (const { name, pid, footprint } of await otherAgents(paths)) {
    const shared = footprint.files.find((file) => files.includes(file));
    if (shared !== undefined) {
      throw new FileOfOtherAgentError(shared, name, pid);
    }
  }
}

/**
 * Overlapping networks would take each other's route and firewall rules again
 * and again.
 *
 * @throws {NetworkOfOtherAgentError} if a running agent's network overlaps.
 */
export async function refuseNetworkOfOthers(
  paths: InstancePaths,
  network: Cidr,
): Promise<void> {
  for (const { name, pid, footprint } of await otherAgents(paths)) {
    if (overlaps(footprint.network, network)) {
      throw new NetworkOfOtherAgentError(network, footprint.network, name, pid);
    }
  }
}

async function otherAgents(paths: InstancePaths): Promise<OtherAgent[]> {
  const found: OtherAgent[] = [];
  for (const entry of entriesOf(paths.runDir)) {
    if (!entry.name.endsWith(FOOTPRINT)) continue;
    const name = entry.name.slice(0, -FOOTPRINT.length);
    if (name === paths.name) continue;
    const base = `${paths.runDir}/${name}`;
    const other = {
      ...paths,
      name,
      socket: `${base}.sock`,
      lock: `${base}.lock`,
    };
    const holder = InstanceLock.holder(other);
    if (holder === undefined) continue;
    const footprint = await readFootprint(other);
    if (footprint !== undefined) {
      found.push({ name, pid: holder.pid, footprint });
    }
  }
  return found;
}

function entriesOf(directory: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(directory)];
  } catch (error) {
    // The file was deleted, so nothing is known about that agent.
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
