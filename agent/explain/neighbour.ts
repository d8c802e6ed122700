/**
 * Whether a machine on a link answers.
 *
 * @module
 */

import type { NeighbourEntry } from "../../linux/netlink/rtnetlink.ts";

/** Whether it was asked for its Ethernet address and has not answered so far. */
export function isSilent({ state }: NeighbourEntry): boolean {
  return state === "failed" || state === "incomplete";
}
