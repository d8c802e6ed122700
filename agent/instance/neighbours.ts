/**
 * The other agents of this host: several networks may run side by side, as long
 * as each has its own files.
 *
 * @module
 */

import { type Cidr, overlaps } from "../../net/cidr.ts";
import { FileOfOtherAgentError, NetworkOfOtherAgentError } from "../errors.ts";
import { type Footprint, readFootprint } from "./footprint.ts";
import type { InstancePaths } from "./instance.ts";
import { InstanceLock } from "./instance_lock.ts";

const FOOTPRINT = ".json";

/** Another agent that runs now, and what it has written down. */
interface Neighbour {
  readonly name: string;
  readonly pid: number | undefined;
  readonly footprint: Footprint;
}

/**
 * Two agents that write one `subnet.env` give Docker the subnet of whichever was
 * last, and each takes the other's network for its own former one.
 *
 * @param files that the agent of `paths` is going to write.
 * @throws {FileOfOtherAgentError} when a running agent writes one of them.
 */
export async function refuseFilesOfOthers(
  paths: InstancePaths,
  files: readonly string[],
): Promise<void> {
  for (const { name, pid, footprint } of await neighbours(paths)) {
    const shared = footprint.files.find((file) => files.includes(file));
    if (shared !== undefined) {
      throw new FileOfOtherAgentError(shared, name, pid);
    }
  }
}

/**
 * Two networks that overlap would take the route and the firewall rules from one
 * another for ever.
 *
 * @throws {NetworkOfOtherAgentError} when a running agent's network overlaps.
 */
export async function refuseNetworkOfOthers(
  paths: InstancePaths,
  network: Cidr,
): Promise<void> {
  for (const { name, pid, footprint } of await neighbours(paths)) {
    if (overlaps(footprint.network, network)) {
      throw new NetworkOfOtherAgentError(network, footprint.network, name, pid);
    }
  }
}

async function neighbours(paths: InstancePaths): Promise<Neighbour[]> {
  const found: Neighbour[] = [];
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
    // Somebody has deleted it: who runs there has written nothing down.
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
