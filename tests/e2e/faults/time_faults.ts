/**
 * What happens to leases that end soon, and to hosts whose clock is set.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { ProcessClock } from "../../rig/process_clock.ts";
import { eventually } from "../overlay.ts";
import { cutOff, GONE, joinAgain, SILENT } from "./control_plane_faults.ts";
import type { Fault } from "./fault.ts";
import type { FaultWorld } from "./fault_world.ts";

/** For the hosts that these faults happen to. */
export const SHORT_TTL_SECONDS = 20;
/** Long enough for a lease to end, and for etcd to see it. */
const ENDED_MS = SHORT_TTL_SECONDS * 3 * 1_000;
const JUMP_DAYS = 2;
const DAY_MS = 86_400_000;
const EXPIRED = '"event":"lease.expired"';

/** Each leaves everything as it was. The hosts run on `clock`. */
export function timeFaults(clock: ProcessClock): readonly Fault[] {
  return [
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
    {
      name: `the hosts' clocks are set ${JUMP_DAYS} days forward, and back`,
      inject: async (world) => {
        const expired = () =>
          world.nodes.map(({ agent }) =>
            agent.process.log().split(EXPIRED).length - 1
          );
        const before = expired();
        clock.set(`+${JUMP_DAYS}d`);
        await untilRenewed(world, (aheadMs) => aheadMs > DAY_MS);
        clock.set("+0");
        await untilRenewed(world, (aheadMs) => aheadMs < DAY_MS);
        assertEquals(expired(), before, "ends of leases");
      },
      heal: () => Promise.resolve(clock.set("+0")),
    },
  ];
}

/** By each host's own clock; `aheadMs` is how long its lease lives by ours. */
async function untilRenewed(
  world: FaultWorld,
  condition: (aheadMs: number) => boolean,
): Promise<void> {
  for (const node of world.nodes) {
    await eventually(
      `a lease of ${node.host.name} by its clock`,
      async () => (await world.status(node)).lease,
      (lease) =>
        lease?.state === "held" && lease.expires !== null &&
        condition(Date.parse(lease.expires) - Date.now()),
      ENDED_MS,
    );
  }
}
