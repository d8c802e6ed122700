/**
 * The main job, shown on one machine: two hosts, a real etcd, an agent on each,
 * and packets from a container of one to a container of the other.
 *
 * Exit codes: 0 when packets really crossed, 1 when anything failed, 2 for bad
 * usage, 128 + n when signal n ended it. Whatever happens, nothing is left
 * behind, unless `--keep` was given and all went well.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { BACKENDS } from "../backend/backends.ts";
import { describeError } from "../errors.ts";
import { measureTcp } from "../bench/measure/tcp.ts";
import { ping } from "../bench/measure/ping.ts";
import type { MeasuredLink } from "../bench/measure/link.ts";
import type { Agent } from "../tests/rig/agent.ts";
import { lodenCommand, prepareLoden } from "../tests/rig/loden_program.ts";
import type { RigHost } from "../tests/rig/host.ts";
import { belongsTo, uniqueRigName } from "../tests/rig/names.ts";
import { Rig } from "../tests/rig/rig.ts";
import { destroyRig, namespaceNames } from "../tests/rig/teardown.ts";
import { createVxlan, VXLAN_DEVICE } from "../tests/rig/vxlan.ts";
import { AptHost } from "./apt.ts";
import { Interrupted, onInterrupt } from "./interrupt.ts";
import { DEMO_REQUIREMENTS, ensurePackages } from "./packages.ts";
import { Progress } from "./progress.ts";
import { requireLinuxRoot } from "./linux_root.ts";
import { writeStdout } from "./stdout.ts";
import { extendSystemPath } from "./system_path.ts";

/** Those that carry packets between two hosts without anything else. */
const BACKENDS_SHOWN: readonly string[] = BACKENDS.specs
  .map(({ type }) => type)
  .filter((type) => type !== "alloc" && type !== "extension");
const [DEFAULT_BACKEND] = BACKENDS_SHOWN;

const USAGE = `Usage: deno task demo [--backend=TYPE] [--keep | --remove]

Two hosts on this machine, joined by Loden: network namespaces, a real etcd, one
agent each, and packets from container to container. Needs root and Linux.

  --backend  ${BACKENDS_SHOWN.join(", ")} (${DEFAULT_BACKEND})
  --keep     leave the network up and say what to try next
  --remove   take down what --keep left
`;

/** A fixed name, so that people can type it and a later run can remove it. */
const KEPT_NAME = "loden-demo";
const PINGS = 1_000;
const TCP_SECONDS = 3;
/** An emulated processor takes half a minute. */
const READY_MS = 120_000;

interface Figures {
  readonly path: string;
  readonly gbps: number;
  readonly roundTripUs: number;
}

interface Carried {
  readonly dataPath: string;
  readonly reason: string;
  /** Absent where nothing counts them. */
  readonly packets: number | undefined;
}

/** Of the udp backend's data paths; the others say themselves what they are. */
const NAMES: Readonly<Record<string, string>> = {
  ebpf: "programs in the kernel (ebpf)",
  tun: "the agent in user space (tun)",
};

function nameOf(dataPath: string): string {
  return NAMES[dataPath] ?? dataPath;
}

interface Node {
  readonly host: RigHost;
  readonly bip: string;
  readonly mtuBytes: number;
}

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: readonly string[]): Promise<number> {
  const unknown: string[] = [];
  const { backend, help, keep, remove: isRemoval } = parseArgs([...args], {
    boolean: ["help", "keep", "remove"],
    string: ["backend"],
    default: { backend: DEFAULT_BACKEND },
    alias: { h: "help" },
    unknown: (word: string) => {
      unknown.push(word);
      return false;
    },
  });
  const refusal = unknown.length > 0
    ? `unknown argument ${unknown[0]}`
    : keep && isRemoval
    ? "give --keep or --remove, not both"
    : BACKENDS_SHOWN.includes(backend!)
    ? undefined
    : `--backend must be one of ${BACKENDS_SHOWN.join(", ")}: ` +
      `current value is ${backend}`;
  if (refusal !== undefined) {
    console.error(`Cannot run the demonstration: ${refusal}\n`);
    console.error(USAGE);
    return 2;
  }
  if (help) {
    writeStdout(USAGE);
    return 0;
  }
  extendSystemPath();
  const progress = new Progress(writeStdout, () => performance.now());
  const apt = new AptHost((line) => progress.note(line));
  const name = keep ? KEPT_NAME : uniqueRigName();
  let building = false;
  let rig: Rig | undefined;
  using interrupt = onInterrupt(() => {
    apt.abandon();
    if (building) destroyRig(name);
  });
  try {
    requireLinuxRoot("make network namespaces");
    if (isRemoval) return remove(progress);
    if (keep && isUp()) {
      progress.print(
        `Cannot keep two: ${KEPT_NAME} is up already ` +
          "(remove it: deno task demo --remove)",
      );
      return 1;
    }
    await prepare(progress, apt, interrupt.signal);
    building = true;
    rig = await progress.step(
      "two hosts, each with a container bridge of its own, on one switch",
      () => Rig.create({ name, signal: interrupt.signal }),
    );
    await progress.step(
      "a cable that carries packets one by one, as between machines",
      () => rig!.setLinkMode("wire", interrupt.signal),
    );
    await show(rig, backend!, progress, interrupt.signal, keep);
    if (keep) return 0;
    await rig[Symbol.asyncDispose]();
    progress.print("\nEverything is removed.");
    return 0;
  } catch (error) {
    const interrupted = interrupt.signal.reason;
    progress.print(
      interrupted instanceof Interrupted
        ? `\n${interrupted.message}: removing everything`
        : `\nThe demonstration failed: ${describeError(error)}`,
    );
    await rig?.[Symbol.asyncDispose]();
    return interrupted instanceof Interrupted ? interrupted.exitCode : 1;
  }
}

function isUp(): boolean {
  return namespaceNames((name) => belongsTo(name, KEPT_NAME)).length > 0;
}

function remove(progress: Progress): number {
  const up = isUp();
  destroyRig(KEPT_NAME);
  progress.print(up ? `${KEPT_NAME} is removed` : `${KEPT_NAME} is not there`);
  return 0;
}

async function prepare(
  progress: Progress,
  apt: AptHost,
  signal: AbortSignal,
): Promise<void> {
  await progress.step("the programs that this needs", () =>
    ensurePackages(
      DEMO_REQUIREMENTS,
      apt,
      (line) => progress.note(line),
      signal,
    ));
  // The agents run where there is no way to the registry.
  await progress.step(
    "the agent's packages",
    () => prepareLoden(signal),
  );
}

async function show(
  rig: Rig,
  backend: string,
  progress: Progress,
  signal: AbortSignal,
  keep: boolean,
): Promise<void> {
  // Before an agent's XDP program is at the underlay, which changes all paths.
  const vxlan = await progress.step(
    "the kernel's VXLAN between them, to compare with",
    async () =>
      link(
        rig,
        await createVxlan(rig.hosts, undefined, signal),
        "docker1",
        signal,
      ),
  );
  const vxlanFigures = await measure(
    "kernel VXLAN",
    vxlan,
    rig,
    progress,
    signal,
  );
  // It has the name of the vxlan backend's device.
  for (const { namespace } of rig.hosts) {
    await namespace.ip([`link delete ${VXLAN_DEVICE}`], signal);
  }
  await progress.step("etcd", () => rig.startEtcd());
  const config = {
    Network: "10.1.0.0/16",
    ...backend !== DEFAULT_BACKEND && { Backend: { Type: backend } },
  };
  await progress.step(
    `/coreos.com/network/config: ${JSON.stringify(config)}`,
    () => rig.publish(config),
  );
  const agents = await progress.step(
    "an agent on each host, until READY",
    () => startAgents(rig, signal),
  );
  for (const [index, agent] of agents.entries()) {
    progress.print(await describeHost(rig.host(index), agent));
  }
  const loden: Node[] = [];
  for (const [index, agent] of agents.entries()) {
    loden.push({ host: rig.host(index), ...await agent.bridge() });
  }
  const overlay = await progress.step(
    "a container on each, behind a bridge made from --bip and --mtu",
    () => link(rig, loden, "docker0", signal),
  );
  const before = await carried(agents);
  const figures = [
    await measure(`Loden, ${backend}`, overlay, rig, progress, signal),
  ];
  for (
    const [index, { dataPath, packets }] of (await carried(agents)).entries()
  ) {
    const { packets: earlier } = before[index]!;
    // The kernel's backends count nothing; the underlay's bytes are the proof.
    if (packets === undefined || earlier === undefined) {
      progress.print(`    ${rig.host(index).address}: by ${nameOf(dataPath)}`);
      continue;
    }
    const moved = packets - earlier;
    if (moved === 0) {
      throw new Error(
        `Cannot say what carried the packets: the data path of ` +
          `${rig.host(index).address} (${dataPath}) must have counted some: ` +
          "it counted none",
      );
    }
    progress.print(
      `    ${rig.host(index).address}: ${moved} packets by ${nameOf(dataPath)}`,
    );
  }
  progress.print(`\n${table([...figures, vxlanFigures])}`);
  if (keep) progress.print(whatNext(rig, agents, overlay));
}

async function startAgents(rig: Rig, signal: AbortSignal): Promise<Agent[]> {
  const agents = [];
  for (const host of rig.hosts) agents.push(await rig.startAgent(host));
  for (const agent of agents) await agent.ready(READY_MS, signal);
  return agents;
}

async function describeHost(host: RigHost, agent: Agent): Promise<string> {
  const [path] = await carried([agent]);
  const indented = (text: string) =>
    text.trimEnd().split("\n").map((line) => `      ${line}`).join("\n");
  return [
    `    ${host.address}: data path`,
    indented(`${nameOf(path!.dataPath)}: ${path!.reason}`),
    `    ${host.address}: subnet.env`,
    indented(await Deno.readTextFile(agent.files.subnetFile)),
    `    ${host.address}: Docker's options`,
    indented(await Deno.readTextFile(agent.files.dockerOptsFile)),
  ].join("\n");
}

/** What carries the packets of each host, and how many it has sent and received. */
async function carried(agents: readonly Agent[]): Promise<Carried[]> {
  return await Promise.all(agents.map(async (agent) => {
    const { backend } = await agent.status();
    if (backend === null) {
      throw new Error("Cannot look at the data path: it must run");
    }
    const { counters, dataPath } = backend;
    const { "tx.packets": sent, "rx.packets": received } = counters;
    return {
      dataPath,
      reason: backend.reason,
      packets: sent === undefined || received === undefined
        ? undefined
        : sent + received,
    };
  }));
}

async function link(
  rig: Rig,
  nodes: readonly Node[],
  bridge: string,
  signal: AbortSignal,
): Promise<MeasuredLink> {
  const containers = [];
  for (const { host, bip, mtuBytes } of nodes) {
    containers.push(
      await host.addContainer({ bip, mtuBytes, name: bridge }, signal),
    );
  }
  const [client, server] = containers;
  return { client: client!, server: server!, directory: rig.directory };
}

async function measure(
  path: string,
  measured: MeasuredLink,
  rig: Rig,
  progress: Progress,
  signal: AbortSignal,
): Promise<Figures> {
  const { client, server } = measured;
  const between = `${client.address} to ${server.address}`;
  const underlayBefore = await underlayBytes(rig);
  const echo = await progress.step(
    `${path}: ping ${between}`,
    () =>
      ping(client.namespace, server.address, {
        count: PINGS,
        intervalSeconds: 0.005,
        deadlineSeconds: 10,
        // Each as soon as the last is back, as requests and answers go.
        args: ["-A"],
      }, signal),
  );
  if (echo.averageUs === undefined) {
    throw new Error(
      `Cannot reach ${server.address} from ${client.address} by ${path}: ` +
        `none of ${echo.sent} pings came back`,
    );
  }
  progress.note(`${echo.received} of ${echo.sent} came back`);
  const tcp = await progress.step(
    `${path}: TCP ${between}`,
    () => measureTcp(measured, { seconds: TCP_SECONDS, streams: 1 }, signal),
  );
  progress.note(`${(tcp.bytes / 1e9).toFixed(2)} GB arrived`);
  // It went between the hosts, and not some short cut inside the machine.
  const crossed = await underlayBytes(rig) - underlayBefore;
  if (tcp.bytes === 0 || crossed < tcp.bytes) {
    throw new Error(
      `Cannot say that packets crossed: the underlay must have carried all ` +
        `${tcp.bytes} bytes: it carried ${crossed}`,
    );
  }
  return { path, gbps: tcp.gbps, roundTripUs: echo.averageUs };
}

async function underlayBytes(rig: Rig): Promise<number> {
  return Number(
    await rig.host(1).namespace.run([
      "cat",
      "/sys/class/net/eth0/statistics/rx_bytes",
    ]),
  );
}

function table(figures: readonly Figures[]): string {
  return [
    "  path             TCP, 1 stream     round trip",
    ...figures.map(({ gbps, path, roundTripUs }) =>
      `  ${path.padEnd(14)}${gbps.toFixed(2).padStart(9)} Gbit/s` +
      `${roundTripUs.toFixed(0).padStart(11)} us`
    ),
  ].join("\n");
}

function whatNext(
  rig: Rig,
  agents: readonly Agent[],
  overlay: MeasuredLink,
): string {
  const [first, second] = rig.hosts;
  const agent = agents[0]!;
  const inside = (name: string) => `ip netns exec ${name}`;
  return `
The network stays up. Try, as root:

  ping from container to container
    ${inside(overlay.client.namespace.name)} ping ${overlay.server.address}
  see it on the wire
    ${inside(second!.name)} tcpdump -ni eth0 not port 2379
  ask an agent
    ${inside(first!.name)} ${lodenCommand().join(" ")} status \\
      --run-dir=${agent.files.runDirectory}
  read its log
    tail -f ${first!.directory}/agent/log
  see the leases
    ${inside(rig.switch.name)} etcdctl --endpoints=${rig.etcdEndpoint} \\
      get --prefix /coreos.com/network

Remove it:  deno task demo --remove`;
}
