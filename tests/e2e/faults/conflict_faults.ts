/**
 * What other hosts can do to one: take its subnet, or its address.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async/delay";
import type { Agent } from "../../rig/agent.ts";
import { Daemon } from "../../rig/daemon.ts";
import { eventually } from "../overlay.ts";
import { lostOf } from "../steady_traffic.ts";
import type { Fault } from "./fault.ts";
import { type FaultWorld, SPARE } from "./fault_world.ts";

/** Of a host that is not there. */
const FOREIGN = '{"PublicIP":"192.0.2.99"}';
const CONFLICT = '"event":"lease.conflict"';
const PINGS_MS = 1_000;
const TOLD_MS = 30_000;
const IN_USE = "lease.public-ip-in-use";

/** The spare host has another subnet after the first; else all is as it was. */
export const CONFLICT_FAULTS: readonly Fault[] = [
  overwritten(),
  {
    name: "another host starts with the address of one, and is refused",
    inject: async (world) => {
      const before = await world.leases();
      await using rival = await startRival(world);
      const { process } = rival.agent;
      await process.untilLogged(new RegExp(IN_USE), TOLD_MS);
      for (const flag of ["--iface", "--public-ip", "--take-over"]) {
        assertStringIncludes(process.log(), flag);
      }
      assertEquals(await world.leases(), before);
    },
  },
  {
    name: "another host takes the address of one, as it was told, and ends",
    inject: async (world) => {
      await using rival = await startRival(world, "--take-over");
      await rival.agent.ready();
      await eventually(
        "the word of it",
        async () => {
          const { backend, lease, ready } = await world.status(world.spare);
          return {
            cause: lease?.causeCode,
            serves: ready && backend !== null,
            state: lease?.state,
          };
        },
        ({ cause, serves, state }) =>
          state === "conflict" && cause === IN_USE && serves,
        TOLD_MS,
      );
      await world.untilReached(SPARE);
    },
  },
];

function overwritten(): Fault {
  let key: string | undefined;
  return {
    name: "a host's key is overwritten by another host",
    moves: [SPARE],
    inject: async (world) => {
      const { spare, rig } = world;
      key = await world.keyOf(spare);
      const { FLANNEL_SUBNET: former } = await spare.agent.subnetEnv();
      const logged = spare.agent.process.log().length;
      const { namespace } = world.node(0).container;
      await using pings = new Daemon({
        name: "pings to the spare host",
        command: [
          ...namespace.commandPrefix,
          ...["ping", "-n", "-i0.02", spare.container.address],
        ],
        logFile: `${rig.directory}/${crypto.randomUUID()}.log`,
      });
      await delay(PINGS_MS);
      const beforePut = pings.log();
      await rig.etcd.ctl("put", key, FOREIGN);
      assertEquals(lostOf(beforePut), [], "lost before");
      await spare.agent.process.until(
        "the conflict in the log",
        () => spare.agent.process.log().slice(logged).includes(CONFLICT),
        TOLD_MS,
      );
      await eventually(
        "another subnet in the files",
        async () => (await spare.agent.subnetEnv()).FLANNEL_SUBNET,
        (subnet) => subnet !== former,
        TOLD_MS,
      );
      await world.restartDocker(SPARE);
      await world.untilReached(SPARE);
    },
    heal: async ({ rig }) => {
      if (key !== undefined) await rig.etcd.ctl("del", key);
    },
  };
}

/** An agent of the stranger with the spare host's address. */
async function startRival(
  { rig, spare, stranger }: FaultWorld,
  ...flags: string[]
): Promise<AsyncDisposable & { readonly agent: Agent }> {
  const agent = await rig.startAgent(stranger, {
    flags: [`--public-ip=${spare.host.address}`, ...flags],
  });
  return {
    agent,
    async [Symbol.asyncDispose]() {
      agent.process.kill("SIGKILL");
      await agent.process.ended(5_000);
      agent[Symbol.dispose]();
      await stranger.replug();
    },
  };
}
