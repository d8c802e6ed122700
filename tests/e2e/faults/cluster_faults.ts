/**
 * What can happen to an etcd of three members.
 *
 * @module
 */

import type { EtcdServer } from "../../support/etcd.ts";
import { leaderOf } from "../../support/etcd_cluster.ts";
import type { Fault } from "./fault.ts";

export const MEMBERS = 3;

/** Each leaves everything as it was. */
export const CLUSTER_FAULTS: readonly Fault[] = [
  loses("its leader", 1, {
    // The others elect a new one, and agents find a member that lives.
    inject: async (world) => await world.untilWell(await world.bearings()),
  }),
  loses("its quorum", 2, {
    told: {
      states: ["degraded"],
      causes: [
        "registry.no-leader",
        "registry.deadline",
        "registry.unreachable",
        "registry.refused",
      ],
    },
  }),
];

/** The leader and, with `count` above 1, others are killed and come back. */
function loses(
  what: string,
  count: number,
  { inject, told }: Partial<Fault>,
): Fault {
  let lost: readonly EtcdServer[] = [];
  return {
    name: `an etcd of ${MEMBERS} members loses ${what}`,
    inject: async (world) => {
      const leader = await leaderOf(world.rig.etcdMembers);
      const others = world.rig.etcdMembers.filter((each) => each !== leader);
      lost = [leader, ...others].slice(0, count);
      await Promise.all(lost.map((member) => member.kill()));
      await inject?.(world);
    },
    ...told ? { told } : {},
    // Together: without a quorum none of them serves.
    heal: async () => {
      await Promise.all(lost.map((member) => member.start()));
    },
  };
}
