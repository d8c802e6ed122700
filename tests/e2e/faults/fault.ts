/**
 * One thing that goes wrong, from its beginning to the end of its consequences.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import type { LeasePhase } from "../../../lease/own/lease_state.ts";
import { eventually, type Node } from "../overlay.ts";
import type { FaultTraffic } from "./fault_traffic.ts";
import type { Bearings, FaultWorld } from "./fault_world.ts";

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

/** A fault of the control plane, of an agent or of its host. */
export interface Fault {
  /** Stands after "no packet is lost when". */
  readonly name: string;
  readonly inject: (world: FaultWorld) => Promise<void>;
  /** Left out where the agents cure it before anybody could ask. */
  readonly told?: Told;
  /**
   * Places of the agents that end and come back. Pings to a data path that needs
   * its agent may be lost then; never a byte of a stream, and nothing else.
   */
  readonly restarts?: readonly number[];
  /** Places of the hosts that have another subnet afterwards; none by default. */
  readonly moves?: readonly number[];
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
  { heal, inject, moves = [], name, restarts = [], told }: Fault,
  world: FaultWorld,
  traffic: FaultTraffic,
  { lastsMs }: FaultTimes,
): Promise<void> {
  const before = await world.bearings();
  await traffic.lost();
  const assertNothingLost = async (when: string) => {
    const lost = (await traffic.lost()).map((count, index) =>
      world.mayLose(index + 1, restarts) ? 0 : count
    );
    assertEquals(lost, lost.map(() => 0), `lost ${when} ${name}`);
  };
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
  await assertNothingLost("while");
  await cleanup.disposeAsync();
  await world.untilWell(before, moves);
  await assertNothingLost("after");
  const same = ({ pids }: Bearings) =>
    pids.filter((_, index) => !restarts.includes(index));
  assertEquals(same(await world.bearings()), same(before));
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
