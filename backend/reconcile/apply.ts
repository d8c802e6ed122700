/**
 * Carries out a plan by netlink, in few system calls.
 *
 * @module
 */

import type { Rtnetlink } from "../../linux/netlink/rtnetlink.ts";
import type { Changes } from "./plan.ts";

/**
 * If the kernel refuses one kind of change, the others are still applied.
 *
 * @throws {NetlinkError} the first refusal, at the end.
 */
export function applyChanges(
  rtnetlink: Rtnetlink,
  changes: Omit<Changes, "conflicts">,
): void {
  const steps = [
    () => rtnetlink.replaceNeighbours(changes.putNeighbours),
    () => rtnetlink.replaceForwardingEntries(changes.putForwarding),
    () => rtnetlink.replaceRoutes(changes.putRoutes),
    () => rtnetlink.removeRoutes(changes.removeRoutes),
    () => rtnetlink.removeNeighbours(changes.removeNeighbours),
    () => rtnetlink.removeForwardingEntries(changes.removeForwarding),
  ];
  const refusals: unknown[] = [];
  for (const step of steps) {
    try {
      step();
    } catch (error) {
      refusals.push(error);
    }
  }
  if (refusals.length > 0) throw refusals[0];
}
