/**
 * Faults at random, one after the other, on hosts that live through all of them.
 *
 * @module
 */

import { type RandomSource, shuffled } from "../../linux/random.ts";
import { AGENT_FAULTS } from "../../tests/e2e/faults/agent_faults.ts";
import { CONFLICT_FAULTS } from "../../tests/e2e/faults/conflict_faults.ts";
import {
  CONTROL_PLANE_FAULTS,
  ETCD_QUOTA_BYTES,
} from "../../tests/e2e/faults/control_plane_faults.ts";
import { DISK_FAULTS } from "../../tests/e2e/faults/disk_faults.ts";
import { type Fault, runFault } from "../../tests/e2e/faults/fault.ts";
import { FaultWorld } from "../../tests/e2e/faults/fault_world.ts";
import type { Progress } from "../progress.ts";
import type { SoakOptions } from "./options.ts";
import { type Growth, UsageWatch } from "./usage_watch.ts";

/** How long a fault lasts after the agents have told of it. */
const LEAST_MS = 500;
const MOST_MS = 8_000;

/**
 * Those that leave the first host's agent running: what it uses is followed from
 * the first fault to the last. Faults of an etcd of three members, and of leases
 * that end soon, need hosts of their own.
 */
export const SOAK_FAULTS: readonly Fault[] = [
  ...CONTROL_PLANE_FAULTS,
  ...AGENT_FAULTS,
  ...CONFLICT_FAULTS,
  ...DISK_FAULTS,
].filter(({ restarts = [] }) => !restarts.includes(0));

/** Where the soak looks. */
export interface SoakComponents {
  readonly random: RandomSource;
  readonly progress: Progress;
  /** Milliseconds. */
  readonly now: () => number;
}

/**
 * Each fault once in random order, then all again, until the time is over.
 *
 * Throws when a packet is lost, a stream is broken or something is not as it was
 * before a fault.
 */
export async function soak(
  { minutes, only }: SoakOptions,
  { now, progress, random }: SoakComponents,
  signal: AbortSignal,
): Promise<Growth> {
  const faults = SOAK_FAULTS.filter(({ name }) => name.includes(only));
  if (faults.length === 0) throw new Error(`no fault has ${only} in its name`);
  await using world = await progress.step(
    "an etcd and four hosts",
    () =>
      FaultWorld.start({
        etcd: { extraArguments: [`--quota-backend-bytes=${ETCD_QUOTA_BYTES}`] },
      }),
  );
  await using traffic = await world.startTraffic();
  const watch = new UsageWatch();
  let count = 0;
  // Not before each has happened once: an agent keeps the memory of the most
  // that it ever had to do.
  const look = () =>
    count >= faults.length && watch.sample(
      world.nodes.map(({ agent: { process }, host }) => ({
        name: host.name,
        pid: process.pid,
      })),
    );
  const endMs = now() + minutes * 60_000;
  for (let deck: Fault[] = []; now() < endMs;) {
    signal.throwIfAborted();
    if (deck.length === 0) deck = shuffled(faults, random);
    const fault = deck.pop()!;
    const lastsMs = LEAST_MS + random.below(MOST_MS - LEAST_MS);
    count += 1;
    const name = `${count}: ${fault.name}`;
    try {
      await progress.step(
        name,
        () => runFault(fault, world, traffic, { lastsMs }),
      );
    } catch (cause) {
      for (const line of watch.lines()) progress.print(line);
      throw new Error(`Cannot continue after ${name}`, { cause });
    }
    look();
  }
  const { lost, sent } = await traffic.finish();
  progress.print(
    `${count} faults; ${lost} of ${sent} pings lost, none but where a data path ` +
      "in user space had no agent; every byte of the streams has come",
  );
  for (const line of watch.lines()) progress.print(line);
  return watch.growth();
}
