/**
 * One thing that goes wrong, from its beginning to the end of its consequences.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import type { LeasePhase } from "../../../lease/lease_state.ts";
import { eventually, type Node } from "../overlay.ts";
import type { FaultTraffic } from "./fault_traffic.ts";
import type { FaultWorld } from "./fault_world.ts";

/** An agent has a time limit of five seconds and looks again after pauses. */
const TOLD_MS = 45_000;

/** What an agent says while a fault lasts. */
export interface Told {
  /** `lease.state` of `loden status --json`, one of these. */
  readonly states: readonly LeasePhase[];
  /** The code of its cause, one of these. */
  readonly causes: readonly string[];
  /** Which agents, by their place; all by default. */
  readonly by?: readonly number[];
}

/** A fault of the control plane. */
export interface Fault {
  /** Stands after "no packet is lost when". */
  readonly name: string;
  readonly inject: (world: FaultWorld) => Promise<void>;
  /** Left out where the agents cure it before anybody could ask. */
  readonly told?: Told;
  /** Left out where it is over by itself. */
  readonly heal?: (world: FaultWorld) => Promise<void>;
}

/** How long a fault lasts after the agents have told of it. */
export interface FaultTimes {
  readonly lastsMs: number;
}

/**
 * Lets a fault happen under traffic, and throws unless the agents say so, nothing
 * is lost, and everything is as before afterwards: the same subnets, every lease
 * held by one key, nothing left behind in etcd, and the same processes.
 */
export async function runFault(
  { heal, inject, name, told }: Fault,
  world: FaultWorld,
  traffic: FaultTraffic,
  { lastsMs }: FaultTimes,
): Promise<void> {
  const before = await world.bearings();
  await traffic.lost();
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(async () => await heal?.(world));
  await inject(world);
  if (told !== undefined) {
    await Promise.all(
      (told.by ?? world.nodes.map((_, index) => index))
        .map((index) => untilTold(world, world.node(index), told)),
    );
  }
  await delay(lastsMs);
  assertEquals(await traffic.lost(), none(world), `lost while ${name}`);
  await cleanup.disposeAsync();
  await world.untilWell(before);
  assertEquals(await traffic.lost(), none(world), `lost after ${name}`);
  assertEquals((await world.bearings()).pids, before.pids);
}

function none({ nodes }: FaultWorld): number[] {
  return nodes.slice(1).map(() => 0);
}

async function untilTold(
  world: FaultWorld,
  node: Node,
  { causes, states }: Told,
): Promise<void> {
  await eventually(
    `${node.host.name} in ${states.join(" or ")} for ${causes.join(" or ")}`,
    async () => {
      const { backend, lease, ready } = await world.status(node);
      return {
        state: lease?.state,
        cause: lease?.causeCode,
        serves: ready && backend !== null,
      };
    },
    ({ cause, serves, state }) =>
      serves && states.some((each) => each === state) &&
      causes.some((each) => each === cause),
    TOLD_MS,
  );
}
