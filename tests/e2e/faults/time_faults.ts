/**
 * What happens to leases that end soon.
 *
 * @module
 */

import { eventually } from "../overlay.ts";
import { cutOff, GONE, joinAgain, SILENT } from "./control_plane_faults.ts";
import type { Fault } from "./fault.ts";

/** For the hosts that these faults happen to. */
export const SHORT_TTL_SECONDS = 20;
/** Long enough for a lease to end, and for etcd to see it. */
const ENDED_MS = SHORT_TTL_SECONDS * 3 * 1_000;

/** Each leaves everything as it was. */
export const TIME_FAULTS: readonly Fault[] = [
  {
    name: "etcd is away for longer than leases live",
    inject: ({ rig }) => rig.etcd.kill(),
    told: { states: ["expired-but-serving"], causes: GONE },
    heal: ({ rig }) => rig.etcd.start(),
  },
  {
    name: "a host is cut off from etcd until its lease has ended there",
    inject: async (world) => {
      const key = await world.keyOf(world.node(0));
      await cutOff(world);
      await eventually(
        `etcd without ${key}`,
        () => world.leases(),
        (leases) => !leases.has(key),
        ENDED_MS,
      );
    },
    told: { states: ["expired-but-serving"], causes: SILENT, by: [0] },
    heal: joinAgain,
  },
];
