/**
 * The programs that a network's kernel data path has left at the underlay.
 *
 * @module
 */

import {
  planProgramRemoval,
  type RemovalParts,
} from "../../backend/udp/ebpf/remove.ts";
import { SystemCallError } from "../../linux/errno.ts";
import type { CleanupStep } from "./cleanup_plan.ts";

/**
 * One step for each device that has some. Where the kernel does not say, it is a
 * step that fails if the network has a device that is of no use without programs;
 * else there was never one to load them.
 */
export function planPrograms(
  parts: RemovalParts,
  alias: string,
): CleanupStep[] {
  try {
    return planProgramRemoval(parts, alias);
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    const isInKernel = parts.rtnetlink.links().some((link) =>
      link.alias === alias && link.kind === "veth"
    );
    return !isInKernel ? [] : [{
      what: "programs at the underlay",
      remove: () => {
        throw error;
      },
    }];
  }
}
