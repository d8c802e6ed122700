/**
 * What can happen to an etcd of one member, to the keys in it and on the way to
 * it. The tests run each once, the soak at random.
 *
 * @module
 */

import { CONFIG } from "../overlay.ts";
import { program } from "../programs/path.ts";
import { etcdLeaseOf } from "../../support/etcd_leases.ts";
import type { Fault } from "./fault.ts";
import { type FaultWorld, PREFIX } from "./fault_world.ts";

/** Small, so that it is soon full: see {@linkcode fillEtcd}. */
export const ETCD_QUOTA_BYTES = 16 * 1024 * 1024;
const FILLING_BYTES = 1024 * 1024;
const FILLING = "/filling";
/** Nothing that an agent watches. */
const OTHER_KEY = "/other";
/** Keys and values that are nearly leases; see `programs/spoilt_leases.ts`. */
const SPOILT_LEASES = 10_000;
const KEY_REJECTED = '"event":"peers.key-rejected"';
const NOTICED_MS = 60_000;
const PARTITION = "loden-test-partition";

/** What a client sees of a server whose process has gone. */
export const GONE = ["registry.refused", "registry.unreachable"] as const;
/** What it sees of one that says nothing. */
export const SILENT = ["registry.deadline", "registry.unreachable"] as const;

export const ETCD_IS_KILLED: Fault = {
  name: "etcd is killed",
  inject: ({ rig }) => rig.etcd.kill(),
  told: { states: ["degraded"], causes: GONE },
  heal: ({ rig }) => rig.etcd.start(),
};

export const HOST_IS_CUT_OFF: Fault = {
  name: "a host is cut off from etcd, its packets dropped",
  inject: cutOff,
  told: { states: ["degraded"], causes: SILENT, by: [0] },
  heal: joinAgain,
};

/** Each leaves everything as it was. */
export const CONTROL_PLANE_FAULTS: readonly Fault[] = [
  ETCD_IS_KILLED,
  {
    name: "etcd is stopped and says nothing",
    inject: ({ rig }) => Promise.resolve(rig.etcd.pause()),
    told: { states: ["degraded"], causes: SILENT },
    heal: ({ rig }) => Promise.resolve(rig.etcd.resume()),
  },
  HOST_IS_CUT_OFF,
  {
    name: "etcd's history is compacted while a host is cut off",
    inject: async (world) => {
      await cutOff(world);
      const { etcd } = world.rig;
      for (let i = 0; i < 20; i++) await etcd.ctl("put", OTHER_KEY, `${i}`);
      await compact(world);
    },
    told: { states: ["degraded"], causes: SILENT, by: [0] },
    heal: joinAgain,
  },
  {
    name: "a host's etcd lease is revoked",
    inject: async (world) => {
      const { etcd } = world.rig;
      const key = await world.keyOf(world.node(0));
      await etcd.ctl("lease", "revoke", await etcdLeaseOf(etcd.ctl, key));
    },
  },
  {
    name: "every lease's key is deleted",
    inject: async ({ rig }) => {
      await rig.etcd.ctl("del", "--prefix", `${PREFIX}/subnets/`);
    },
  },
  {
    name: "every lease's value is spoilt",
    inject: async (world) => {
      for (const key of (await world.leases()).keys()) {
        await world.rig.etcd.ctl("put", key, '{"PublicIP":"192.0.2');
      }
    },
  },
  {
    name: `${SPOILT_LEASES} spoilt keys and values lie beside the leases`,
    inject: async (world) => {
      const logged = world.nodes.map(({ agent }) => agent.process.log().length);
      await changeSpoiltLeases(world, "put");
      await Promise.all(
        world.nodes.map(({ agent: { process } }, index) =>
          process.until(
            `a spoilt key in the log of ${process.name}`,
            () => process.log().slice(logged[index]).includes(KEY_REJECTED),
            NOTICED_MS,
          )
        ),
      );
      await world.untilWell(await world.bearings());
    },
    heal: async (world) => {
      await changeSpoiltLeases(world, "delete");
      await compact(world);
      await world.rig.etcd.ctl("defrag");
    },
  },
  {
    name: "etcd's data is wiped",
    inject: async ({ rig }) => {
      await rig.etcd.kill();
      await rig.etcd.start({ wipe: true });
    },
    heal: ({ rig }) => rig.publish(CONFIG),
  },
  {
    name: "etcd is restored from an earlier snapshot",
    inject: async (world) => {
      const { etcd } = world.rig;
      const snapshot = await etcd.snapshot();
      // Leases that the snapshot knows nothing of.
      const before = await world.bearings();
      await etcd.ctl("del", "--prefix", `${PREFIX}/subnets/`);
      await world.untilWell(before);
      await etcd.kill();
      await etcd.start({ snapshot });
    },
  },
  {
    name: "etcd is full",
    inject: async (world) => {
      await fillEtcd(world);
      // Deleting is allowed, writing is not.
      await world.rig.etcd.ctl("del", await world.keyOf(world.node(0)));
    },
    told: {
      states: ["degraded", "renewing"],
      causes: ["registry.no-space"],
      by: [0],
    },
    heal: emptyEtcd,
  },
];

/** Drops packets to etcd silently. */
export async function cutOff(world: FaultWorld): Promise<void> {
  await world.node(0).host.namespace.run(["nft", "-f", "-"], {
    stdin: `table ip ${PARTITION} {
      chain output {
        type filter hook output priority 0
        tcp dport 2379 drop
      }
      chain input {
        type filter hook input priority 0
        tcp sport 2379 drop
      }
    }`,
  });
}

/** Ends {@linkcode cutOff}. */
export async function joinAgain(world: FaultWorld): Promise<void> {
  const { namespace } = world.node(0).host;
  await namespace.run(["nft", "delete", "table", "ip", PARTITION]);
}

/** From the switch, where etcd is. */
async function changeSpoiltLeases(
  { rig }: FaultWorld,
  how: "put" | "delete",
): Promise<void> {
  await rig.switch.run(program(
    "spoilt_leases.ts",
    how,
    rig.etcdEndpoint,
    `${PREFIX}/subnets/`,
    String(SPOILT_LEASES),
  ));
}

/** Forgets all revisions but the newest. */
async function compact({ rig: { etcd } }: FaultWorld): Promise<void> {
  const said = await etcd.ctl("get", OTHER_KEY, "--write-out=fields");
  const revision = /^"Revision" : (\d+)$/m.exec(said)?.[1];
  if (revision === undefined) throw new Error(`no revision: ${said}`);
  await etcd.ctl("compact", revision);
}

/** Until etcd raises the alarm NOSPACE. */
async function fillEtcd({ rig: { etcd } }: FaultWorld): Promise<void> {
  const value = "x".repeat(FILLING_BYTES);
  for (let i = 0; !(await etcd.ctl("alarm", "list")).includes("NOSPACE"); i++) {
    await etcd.ctlWith(value, "put", `${FILLING}/${i}`).catch((error) => {
      if (!String(error).includes("space exceeded")) throw error;
    });
  }
}

async function emptyEtcd(world: FaultWorld): Promise<void> {
  const { etcd } = world.rig;
  await etcd.ctl("del", "--prefix", FILLING);
  await compact(world);
  await etcd.ctl("defrag");
  await etcd.ctl("alarm", "disarm");
}
