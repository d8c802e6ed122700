/**
 * The other agents of this host: several networks may run side by side, as long
 * as each has its own files.
 *
 * @module
 */

import { FileOfOtherAgentError } from "./errors.ts";
import { readFootprint } from "./footprint.ts";
import type { InstancePaths } from "./instance.ts";
import { InstanceLock } from "./instance_lock.ts";

const FOOTPRINT = ".json";

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
  for (const entry of Deno.readDirSync(paths.runDir)) {
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
    const shared = footprint?.files.find((file) => files.includes(file));
    if (shared !== undefined) {
      throw new FileOfOtherAgentError(shared, name, holder.pid);
    }
  }
}
