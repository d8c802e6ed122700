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
    openMonitor: (neighboursOf) => new KernelRtnetlinkMonitor({ neighboursOf }),
  };
}
