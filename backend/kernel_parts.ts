/**
 * The real components of kernel backends.
 *
 * @module
 */

import { KernelRtnetlinkMonitor } from "../linux/netlink/kernel_rtnetlink_monitor.ts";
import type { KernelBackendParts } from "./kernel_backend.ts";

/** The kernel's, with the caller's socket and clock. */
export function kernelParts(
  { clock, rtnetlink }: Pick<KernelBackendParts, "clock" | "rtnetlink">,
): KernelBackendParts {
  return {
    clock,
    rtnetlink,
    neighbourLimit: readNeighbourLimit,
    openMonitor: (neighboursOf, isOwnEntry) =>
      new KernelRtnetlinkMonitor({
        neighboursOf,
        isOwnEntry,
        ...rtnetlink.portId !== undefined &&
          { own: { portId: rtnetlink.portId } },
      }),
  };
}

const NEIGHBOUR_LIMIT = "/proc/sys/net/ipv4/neigh/default/gc_thresh3";

/** The limit is the machine's: a network namespace does not have the file. */
function readNeighbourLimit(): number | undefined {
  try {
    return Number(Deno.readTextFileSync(NEIGHBOUR_LIMIT)) || undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
