/**
 * What a Gbit costs the sender and what it costs the receiver, on one machine.
 *
 * Packets that cross a veth are handled on the CPU that sent them, through to
 * the other host's socket, so no accounting by process can tell the hosts apart.
 * Here each host has a CPU of its own: its programs are kept there (taskset),
 * and the switch hands what it receives from the other host over to it (receive
 * packet steering, Documentation/networking/scaling.rst). Work that the switch
 * itself does is counted where it happens: receiving from a host on that host's
 * CPU, sending to a host on that host's.
 *
 * The rates of such a test compare with no other's.
 *
 * @module
 */

import { run } from "../../tools/command.ts";
import type { RigHost } from "../../tests/rig/host.ts";
import type { PathFigures } from "../figures.ts";
import type { MeasuredPath } from "../paths/measured_path.ts";
import { busySecondsOfCpu } from "./cpu.ts";
import { CPU_EACH } from "./placement.ts";
import { measureTcp } from "./tcp.ts";

/** The sender's and the receiver's. */
const CPUS = [CPU_EACH.client, CPU_EACH.server] as const;

/** One TCP stream. No figures where the machine has a single CPU. */
export async function measureSplitCpu(
  path: MeasuredPath,
  seconds: number,
  signal: AbortSignal,
): Promise<PathFigures> {
  if (CPUS[0] === CPUS[1]) return {};
  const [sender, receiver] = path.rig.hosts as [RigHost, RigHost];
  try {
    await steer(sender, CPUS[1], signal);
    await steer(receiver, CPUS[0], signal);
    for (const [index, pids] of path.processes().entries()) {
      await keepOn(pids, String(CPUS[index]!), signal);
    }
    const before = CPUS.map((cpu) => busySecondsOfCpu(cpu));
    const { bytes } = await measureTcp(path.link, {
      seconds,
      streams: 1,
      cpus: CPU_EACH,
    }, signal);
    const gbits = bytes * 8 / 1e9;
    const [senderBusy, receiverBusy] = CPUS.map((cpu, index) =>
      busySecondsOfCpu(cpu) - before[index]!
    ) as [number, number];
    return {
      senderCpuSecondsPerGbit: senderBusy / gbits,
      receiverCpuSecondsPerGbit: receiverBusy / gbits,
    };
  } finally {
    await steer(sender, undefined);
    await steer(receiver, undefined);
    await keepOn(
      path.processes().flat(),
      `0-${navigator.hardwareConcurrency - 1}`,
    );
  }
}

/** What the switch receives from a host is handled on `cpu`; or where it comes. */
async function steer(
  { uplink }: RigHost,
  cpu: number | undefined,
  signal?: AbortSignal,
): Promise<void> {
  const mask = cpu === undefined ? "0" : (1 << cpu).toString(16);
  await uplink.namespace.run([
    "sh",
    "-ec",
    'for queue in "/sys/class/net/$1/queues/"rx-*; do ' +
    'echo "$2" >"$queue/rps_cpus"; done',
    "sh",
    uplink.port,
    mask,
  ], signal ? { signal } : {});
}

async function keepOn(
  pids: readonly number[],
  cpus: string,
  signal?: AbortSignal,
): Promise<void> {
  for (const pid of pids) {
    await run(
      ["taskset", "--all-tasks", "--cpu-list", "--pid", cpus, String(pid)],
      signal ? { signal } : {},
    );
  }
}
