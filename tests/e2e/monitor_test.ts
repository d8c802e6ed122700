/**
 * `loden monitor` on both data paths at once: the first host's is in the kernel,
 * the second one's in user space. Two more hosts have no lease; each sends to one
 * of them.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  type EventOf,
  type MonitorEvent,
  parseMonitorEvent,
} from "../../agent/monitor/monitor_event.ts";
import { LISTENER } from "../../backend/udp/ebpf/drop_maps.ts";
import { KernelBpf } from "../../linux/bpf/kernel_bpf.ts";
import { placedPrograms } from "../rig/bpf_objects.ts";
import { Daemon } from "../rig/daemon.ts";
import { lodenCommand } from "../rig/loden_program.ts";
import { innerPacket } from "../support/inner_packet.ts";
import { readCapture } from "../support/read_capture.ts";
import { EACH_PAIR } from "./data_paths.ts";
import { Injector } from "./injector.ts";
import { eventually, type Node, SUBNETS } from "./overlay.ts";
import { OverlaySuite } from "./overlay_suite.ts";

const OVERLAY_PORT = 8285;
const STRANGERS_CONTAINER = "10.1.200.5";
const FLOOD = 3_000;
const PATIENCE_MS = 10_000;

/** Of the strangers, by the node that they send to. */
const injectors: (Injector | undefined)[] = [];

const suite = new OverlaySuite("monitor", {
  hosts: 4,
  agents: 2,
  prepare: () => {
    injectors.length = 0;
    return Promise.resolve();
  },
});

/** One that runs. */
class MonitorRun {
  readonly daemon: Daemon;

  constructor({ agent, host }: Node, name: string, ...words: string[]) {
    this.daemon = new Daemon({
      name: `monitor ${name}`,
      command: [
        ...host.namespace.commandPrefix,
        ...lodenCommand(),
        "monitor",
        `--run-dir=${agent.files.runDirectory}`,
        ...words,
      ],
      logFile: `${suite.rig.directory}/${host.name}-${name}.log`,
      env: { DENO_NO_UPDATE_CHECK: "1" },
    });
  }

  events(): MonitorEvent[] {
    return this.daemon.log().split("\n")
      .flatMap((line) => parseMonitorEvent(line) ?? []);
  }

  of<Type extends MonitorEvent["type"]>(type: Type): EventOf<Type>[] {
    return this.events()
      .filter((event): event is EventOf<Type> => event.type === type);
  }

  async until<Type extends MonitorEvent["type"]>(
    type: Type,
    condition: (event: EventOf<Type>) => boolean = () => true,
  ): Promise<EventOf<Type>> {
    const find = () => this.of(type).find(condition);
    const found = await eventually(
      `an event ${type} of ${this.daemon.name}`,
      () => Promise.resolve(find()),
      (event) => event !== undefined,
      PATIENCE_MS,
    );
    return found!;
  }
}

/** The host without a lease that sends to a node. */
const strangerOf = (index: number) => suite.rig.host(2 + index);

/** Datagrams of a node's stranger. */
async function inject(index: number, count = 1): Promise<void> {
  const node = suite.node(index);
  const injector = injectors[index] ??= Injector.datagrams(
    strangerOf(index).namespace,
    node.host.address,
    OVERLAY_PORT,
  );
  const packet = innerPacket({
    source: STRANGERS_CONTAINER,
    destination: node.container.address,
    port: 7000,
    payload: new Uint8Array(8),
  });
  await injector.send(Array(count).fill(packet));
}

/** Until when the programs of a host record; 0 if they do not. */
async function recordsUntilNs({ host }: Node): Promise<bigint> {
  using bpf = new KernelBpf();
  for (const { id } of await placedPrograms(host.namespace)) {
    using program = bpf.openProgram(id);
    for (const mapId of program?.mapIds ?? []) {
      using map = bpf.openMap(mapId);
      if (!map?.name.startsWith("loden_listener")) continue;
      const value = map.lookup(new Uint8Array(4))!;
      return new DataView(value.buffer).getBigUint64(LISTENER.UNTIL, true);
    }
  }
  throw new Error(`no program of ${host.name} has a listener`);
}

const SETUP = EACH_PAIR.filter(({ dataPaths: [first, second] }) =>
  first === "ebpf" && second === "tun"
);

suite.each(SETUP, (test) => {
  test("the programs record while there is a monitor, and no more when it is killed", async () => {
    const node = suite.node(0);
    assertEquals(await recordsUntilNs(node), 0n);
    const monitor = new MonitorRun(node, "killed", "--json");
    await monitor.until("source");
    assert(await recordsUntilNs(node) > 0n);
    monitor.daemon.kill("SIGKILL");
    await eventually(
      "the end of recording",
      () => recordsUntilNs(node),
      (untilNs) => untilNs === 0n,
    );
  });

  test("of a flood, few are shown and the rest is counted, on each path", async () => {
    for (const [index, node] of suite.nodes.entries()) {
      const monitor = new MonitorRun(
        node,
        "flood",
        ...["--json", "--reason=unknownSender"],
      );
      await monitor.until("source");
      await inject(index, FLOOD);
      const told = () => {
        const more = monitor.of("suppressed");
        const shown = monitor.of("drop").length;
        return {
          shown,
          all: more.reduce((sum, { count }) => sum + count, shown),
        };
      };
      const { all, shown } = await eventually(
        "all drops",
        () => Promise.resolve(told()),
        ({ all }) => all >= FLOOD,
      );
      assertEquals(all, FLOOD);
      assert(shown < FLOOD);
      monitor.daemon.kill("SIGTERM");
      assertEquals(await monitor.daemon.ended(PATIENCE_MS), 0);
    }
  });

  // The last one: a stranger has a lease from here on.
  test("each host's shows what it drops, and a peer that comes, and writes a capture", async () => {
    const runs = suite.nodes.map((node, index) => {
      const file = `${suite.rig.directory}/drops-${index}.pcap`;
      return {
        node,
        file,
        all: new MonitorRun(node, "all", "--json"),
        some: new MonitorRun(
          node,
          "some",
          ...["--json", "--reason=unknownSender", `--pcap=${file}`],
        ),
      };
    });
    for (const { all, some } of runs) {
      assertEquals((await all.until("source")).drops, true);
      await some.until("source");
    }
    for (const [index, { all, node, some }] of runs.entries()) {
      await inject(index);
      const drop = await all.until(
        "drop",
        ({ reason }) => reason === "rx.drop.unknownSender",
      );
      assertEquals(drop.outer!.source, strangerOf(index).address);
      assertEquals(drop.outer!.destination, node.host.address);
      assertEquals(drop.inner!.source, STRANGERS_CONTAINER);
      assertEquals(drop.inner!.destination, node.container.address);
      assertEquals(drop.device, "eth0");
      assert(drop.bytes!.length > 0);
      await some.until("drop");
    }
    const second = strangerOf(1).address;
    await suite.rig.etcd.ctl(
      "put",
      `${SUBNETS}/10.1.200.0-24`,
      JSON.stringify({ PublicIP: second, PublicIPv6: null }),
    );
    for (const { all, file, some } of runs) {
      const peer = await all.until("peer", ({ change }) => change === "added");
      assertEquals([peer.subnet, peer.publicIp], ["10.1.200.0/24", second]);
      for (const { daemon } of [all, some]) daemon.kill("SIGTERM");
      assertEquals(await some.daemon.ended(PATIENCE_MS), 0);
      assertEquals(await all.daemon.ended(PATIENCE_MS), 0);
      assertEquals(some.of("peer"), []);
      const { packets } = readCapture(await Deno.readFile(file));
      assertStringIncludes(packets[0]!.comment!, "rx.drop.unknownSender");
      assertEquals(Deno.statSync(file).mode! & 0o777, 0o600);
    }
  });
});
