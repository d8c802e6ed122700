/**
 * What can happen to agents and their hosts.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { DataPath } from "../data_paths.ts";
import type { Fault } from "./fault.ts";
import { type FaultWorld, SPARE } from "./fault_world.ts";
import { GONE } from "./control_plane_faults.ts";

/** On the kernel's data path, and on the other one. */
const RESTARTED = [1, 2] as const;

/** What a start logs, in order: an agent is killed as soon as it has. */
const STEPS = [
  "agent.starting",
  "config.read",
  "underlay.chosen",
  "lease.acquired",
  "firewall.chosen",
  "backend.started",
  "files.written",
  "agent.ready",
] as const;

/** Each leaves everything as it was. */
export const AGENT_FAULTS: readonly Fault[] = [
  ...RESTARTED.map((place): Fault => ({
    name: `an agent is killed at each step of joining (host ${place + 1})`,
    restarts: [place],
    inject: async (world) => {
      await world.kill(place);
      for (const step of STEPS) await killedAt(world, place, step);
      await world.start(place);
      await world.revokeOrphans(STEPS.length);
    },
  })),
  {
    name: "all agents are killed and started at the same instant",
    restarts: [0, ...RESTARTED, SPARE],
    inject: (world) => world.restartAll(),
  },
  ...(["ebpf", "tun"] as const).map(bootsWithoutEtcd),
];

async function killedAt(
  world: FaultWorld,
  place: number,
  step: string,
): Promise<void> {
  const { process } = await world.launch(place);
  process.killWhenLogged(`"event":"${step}"`);
  await process.ended(5_000);
}

/** The host is empty but for its state directory, and starts from that. */
function bootsWithoutEtcd(dataPath: DataPath): Fault {
  return {
    name: `a host reboots while etcd is away (${dataPath})`,
    restarts: [SPARE],
    inject: async (world) => {
      const subnet = await world.subnetOf(world.spare);
      await world.rig.etcd.kill();
      await world.reboot(SPARE, dataPath);
      const status = await world.status(world.spare);
      assertEquals(
        {
          fromSavedState: status.fromSavedState,
          subnet: status.subnet,
          warnings: status.warnings.map(({ code }) => code),
        },
        { fromSavedState: true, subnet, warnings: ["etcd.unavailable"] },
      );
      await world.untilReached(SPARE);
    },
    told: { states: ["degraded"], causes: GONE, by: [0, 1, 2] },
    heal: ({ rig }) => rig.etcd.start(),
  };
}
