/**
 * What strangers and local callers can cost an agent: forged ICMP errors, datagrams
 * from hosts without a lease, and connections to the status socket, in turn and
 * together, while a peer's packets flow.
 *
 * The agent's event-loop delay is how much later than due its signs of life to
 * systemd's watchdog are.
 *
 * @module
 */

import { assert } from "@std/assert";
import { delay } from "@std/async/delay";
import { instancePaths } from "../../agent/instance/instance.ts";
import { processSeconds } from "../../bench/measure/process_cpu.ts";
import { EACH_PATH } from "../e2e/data_paths.ts";
import { eventually, statusOf } from "../e2e/overlay.ts";
import { OverlaySuite } from "../e2e/overlay_suite.ts";
import { program } from "../e2e/programs/path.ts";
import { SteadyTraffic } from "../e2e/steady_traffic.ts";
import { V8_FLAGS } from "../../tools/compile/deno_flags.ts";
import { innerPacket } from "../support/inner_packet.ts";
import {
  ethernetFrame,
  fragmentationNeeded,
  outerPacket,
} from "../support/outer_packet.ts";
import { virtioHeader } from "../support/virtio_header.ts";

const SECONDS = 10;
const STRANGER = 2;
const OVERLAY_PORT = 8285;
const ICMP_PER_SECOND = 3_000;
const DATAGRAMS_PER_SECOND = 20_000;
const CONNECTIONS = 1_000;
/** A sign of life each 20 ms: a third of the timeout. */
const SIGN_MS = 20;
const WATCHDOG = `WATCHDOG_USEC=${SIGN_MS * 3 * 1_000}`;
/** As in the binary: from the sources V8 would let its heap grow first. */
const HEAP = `DENO_V8_FLAGS=${V8_FLAGS.replace("--v8-flags=", "")}`;
/** Before the kernel's queue of notifications is full. */
const READ_MS = 40;
const MOST_CPU_PERCENT = 25;
const MOST_DELAY_MS = 50;
const MOST_GROWTH_MB = 8;
const PING_INTERVAL_SECONDS = 0.02;

const suite = new OverlaySuite("floods", {
  hosts: 3,
  agents: 2,
  wrapper: ["env", WATCHDOG, HEAP],
});

type Flood = "nothing" | "forged ICMP" | "strangers" | "status connections";

async function macOf(index: number): Promise<string> {
  const { namespace } = suite.rig.host(index);
  return (await namespace.run(["cat", "/sys/class/net/eth0/address"])).trim();
}

/** From the stranger, to the first host. */
async function framesOf(flood: Flood): Promise<string> {
  const [own, peer, stranger] = suite.rig.hosts;
  const about = {
    source: own!.address,
    destination: peer!.address,
    port: OVERLAY_PORT,
  };
  const inner = innerPacket({
    source: suite.node(1).container.address,
    destination: suite.node(0).container.address,
    port: 7000,
    payload: new Uint8Array(100),
  });
  const packets = flood === "forged ICMP"
    ? [552, 700, 1_300].map((mtuBytes) =>
      fragmentationNeeded({
        from: stranger!.address,
        to: own!.address,
        about,
        mtuBytes,
      })
    )
    : [stranger!.address, "192.0.2.77"].map((source) =>
      outerPacket({
        source,
        destination: own!.address,
        port: OVERLAY_PORT,
        payload: inner,
      })
    );
  const [destinationMac, sourceMac] = [await macOf(0), await macOf(STRANGER)];
  return packets.map((packet) =>
    new Uint8Array([
      ...virtioHeader({}),
      ...ethernetFrame(packet, { sourceMac, destinationMac }),
    ]).toHex()
  ).join("\n");
}

/** Returns when it is over. */
async function send(flood: Flood): Promise<void> {
  const { namespace } = suite.rig.host(STRANGER);
  switch (flood) {
    case "nothing":
      return await delay(SECONDS * 1_000);
    case "status connections": {
      const { runDirectory } = suite.node(0).agent.files;
      const { socket } = instancePaths(runDirectory, "/coreos.com/network");
      const words = [socket, String(CONNECTIONS), String(SECONDS)];
      const said = await namespace.run(program("status_flood.ts", ...words));
      assert(JSON.parse(said).answered > SECONDS, said);
      return;
    }
    default: {
      const perSecond = flood === "forged ICMP"
        ? ICMP_PER_SECOND
        : DATAGRAMS_PER_SECOND;
      const words = ["eth0", String(perSecond), String(SECONDS)];
      const said = await namespace.run(program("frame_flood.ts", ...words), {
        stdin: await framesOf(flood),
      });
      const { sent } = JSON.parse(said);
      assert(sent === perSecond * SECONDS, said);
    }
  }
}

interface Cost {
  readonly cpuPercent: number;
  readonly delayP99Ms: number;
  readonly growthMb: number;
}

/** What the first host's agent does meanwhile. */
async function costOf(floods: readonly Flood[]): Promise<Cost> {
  const { agent } = suite.node(0);
  const { pid } = agent.process;
  const signs = () =>
    agent.timedNotifications().filter(({ text }) => text === "WATCHDOG=1");
  const memoryMb = () =>
    Number(
      /^VmRSS:\s+(\d+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1],
    ) / 1_024;
  const memory: number[] = [];
  const reading = setInterval(() => {
    signs();
    memory.push(memoryMb());
  }, READ_MS);
  try {
    const from = signs().length;
    const before = {
      seconds: processSeconds(pid),
      atMs: performance.now(),
    };
    await Promise.all(floods.map(send));
    const lasted = (performance.now() - before.atMs) / 1_000;
    const cpuPercent = (processSeconds(pid) - before.seconds) / lasted * 100;
    const times = signs().slice(from).map(({ atMs }) => atMs);
    const late = times.slice(1)
      .map((atMs, at) => Math.max(0, atMs - times[at]! - SIGN_MS))
      .sort((a, b) => a - b);
    assert(late.length > SECONDS, `only ${late.length} signs of life`);
    return {
      cpuPercent,
      delayP99Ms: late[Math.ceil(late.length * 0.99) - 1]!,
      growthMb: growthOf(memory),
    };
  } finally {
    clearInterval(reading);
  }
}

/** From the second third to the last: the heap may take its size in the first. */
function growthOf(readings: readonly number[]): number {
  const third = Math.floor(readings.length / 3);
  return mean(readings.slice(-third)) -
    mean(readings.slice(-2 * third, -third));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, each) => sum + each, 0) / values.length;
}

const FLOODS: readonly (readonly Flood[])[] = [
  ["nothing"],
  ["forged ICMP"],
  ["strangers"],
  ["status connections"],
  ["forged ICMP", "strangers", "status connections"],
];

suite.each(EACH_PATH, (test, { name, traits }) => {
  for (const floods of FLOODS) {
    const what = floods.join(", ");
    test(`${what}: the agent stays calm, and no packet of a peer is lost`, async () => {
      await using traffic = await SteadyTraffic.start({
        rig: suite.rig,
        from: suite.node(1).container,
        to: suite.node(0).container,
      }, PING_INTERVAL_SECONDS);
      const cost = await costOf(floods);
      const words = `${name}: ${what}: ` + [
        `${cost.cpuPercent.toFixed(1)} % of a processor`,
        `event-loop delay p99 ${cost.delayP99Ms.toFixed(1)} ms`,
        `${cost.growthMb.toFixed(1)} MB more memory`,
      ].join(", ");
      console.log(words);
      await traffic.assertNothingLost();
      // The other path's agent moves the traffic itself.
      if (traits.flowsWithoutAgent) {
        assert(cost.cpuPercent < MOST_CPU_PERCENT, words);
      }
      assert(cost.delayP99Ms < MOST_DELAY_MS, words);
      assert(cost.growthMb < MOST_GROWTH_MB, words);
      await eventually(
        "an agent without warnings",
        () => statusOf(suite.node(0)),
        ({ warnings }) => warnings.length === 0,
      );
    });
  }
});
