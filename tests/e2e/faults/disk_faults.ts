/**
 * What disks do to an agent. Mounts are made where that agent alone sees them, in
 * its mount namespace, and are gone with it.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { etcdLeaseOf } from "../../support/etcd_leases.ts";
import { run } from "../../../tools/command.ts";
import { eventually, type Node } from "../overlay.ts";
import type { Fault } from "./fault.ts";
import type { FaultWorld } from "./fault_world.ts";

const TOLD_MS = 45_000;
const READY_MS = 60_000;
const NOT_SAVED = "state.not-saved";

/** Each leaves everything as it was. */
export const DISK_FAULTS: readonly Fault[] = [
  {
    name:
      "two hosts lose their leases, one with a full state directory, one with read-only files",
    inject: async (world) => {
      const [, full, readOnly] = world.nodes as [Node, Node, Node];
      await inMountsOf(full, fill(full.agent.files.stateDirectory));
      await inMountsOf(readOnly, protect(homeOf(readOnly)));
      for (const node of [full, readOnly]) await loseLease(world, node);
      for (const node of [full, readOnly]) {
        await untilWarned(world, node, [NOT_SAVED]);
      }
    },
    heal: async ({ nodes }) => {
      const [, full, readOnly] = nodes as [Node, Node, Node];
      await inMountsOf(full, `umount ${full.agent.files.stateDirectory}`);
      await inMountsOf(readOnly, `umount --lazy ${homeOf(readOnly)}`);
    },
  },
  {
    name: "an agent starts while its directories are full",
    restarts: [1],
    inject: async (world) => {
      const { runDirectory, stateDirectory } = world.node(1).agent.files;
      await world.restart(1, {
        prepare: [fill(runDirectory), fill(stateDirectory)],
      });
      await untilWarned(world, world.node(1), [
        NOT_SAVED,
        "footprint.not-saved",
      ]);
    },
    // The socket lies in what was mounted over the old one: a start takes it.
    heal: (world) => world.restart(1),
  },
  {
    name: "an agent cannot start, since its run directory is read-only",
    restarts: [1],
    inject: async (world) => {
      await world.kill(1);
      const node = world.node(1);
      const { process } = await world.launch(1, {
        prepare: [protect(homeOf(node))],
      });
      assertEquals(await process.ended(READY_MS), 1);
      assertMatch(process.log(), /Cannot open the lock .*Read-only/);
    },
    heal: (world) => world.start(1),
  },
];

/** The directory with all of an agent's files. */
function homeOf({ agent: { files } }: Node): string {
  return files.runDirectory.replace(/\/[^/]*$/, "");
}

function fill(directory: string): string {
  return `mkdir -p ${directory}
    mount -t tmpfs -o size=16k,mode=700 none ${directory}
    dd if=/dev/zero of=${directory}/filling 2>/dev/null || true`;
}

function protect(directory: string): string {
  return `mount --bind ${directory} ${directory}
    mount -o remount,bind,ro ${directory}`;
}

/** Runs commands where the agent sees what they mount. */
async function inMountsOf(
  { agent: { process } }: Node,
  script: string,
): Promise<void> {
  await run(
    ["nsenter", `--mount=/proc/${process.pid}/ns/mnt`, "sh", "-ec", script],
  );
}

/** So that there is something to be written. */
async function loseLease(world: FaultWorld, node: Node): Promise<void> {
  const { ctl } = world.rig.etcd;
  const key = await world.keyOf(node);
  await ctl("lease", "revoke", await etcdLeaseOf(ctl, key));
}

async function untilWarned(
  world: FaultWorld,
  node: Node,
  codes: readonly string[],
): Promise<void> {
  await eventually(
    `the warnings ${codes.join(", ")} of ${node.host.name}`,
    async () => {
      const { lease, warnings } = await world.status(node);
      return {
        state: lease?.state,
        codes: warnings.map(({ code }): string => code),
      };
    },
    (told) =>
      told.state === "held" && codes.every((code) => told.codes.includes(code)),
    TOLD_MS,
  );
}
