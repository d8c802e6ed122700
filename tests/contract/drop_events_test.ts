/**
 * What the programs tell of the packets that they drop, on this kernel.
 */

import { assert, assertEquals } from "@std/assert";
import { PROGRAM_COUNTERS } from "../../backend/udp/ebpf/counters.ts";
import { DROP, LISTENER } from "../../backend/udp/ebpf/drop_maps.ts";
import { KernelDrops } from "../../backend/udp/ebpf/kernel_drops.ts";
import { KernelBpf } from "../../linux/bpf/kernel_bpf.ts";
import { bootTimeNs } from "../../linux/clock.ts";
import { type DroppedPacket, isDropCounter } from "../../net/dropped_packet.ts";
import { formatIpv4 } from "../../net/ipv4.ts";
import { peer } from "../support/kernel_world.ts";
import {
  overlayFrame,
  ProgramPath,
  surroundings,
} from "../support/packet_paths.ts";
import { ProgramWorld, UNDERLAY } from "../support/program_world.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";
import {
  arriving,
  HOLDERS,
  inner,
  outgoing,
  patched,
  RECEIVED,
  SENT,
} from "./packet_fates_contract.ts";

const LISTENER_KEY = new Uint8Array(4);
const FLOOD = 200_000;

/** The drops of a world's programs, as the agent reads them. */
class Listening implements Disposable {
  readonly drops: KernelDrops;
  readonly #world: ProgramWorld;
  readonly #bpf = new KernelBpf();
  /** Of the agent. */
  nowNs: () => bigint = bootTimeNs;

  constructor(world: ProgramWorld) {
    const { loden_drops, loden_listener } = world.maps;
    this.#world = world;
    this.drops = new KernelDrops({
      bpf: this.#bpf,
      maps: { loden_drops: loden_drops!, loden_listener: loden_listener! },
      bootTimeNs: () => this.nowNs(),
      now: Date.now,
      deviceName: (index) => index === 1 ? "lo" : undefined,
      port: UNDERLAY.port,
    });
  }

  /** What the agent has told the programs. */
  get untilNs(): bigint {
    const value = this.#world.maps.loden_listener!.lookup(LISTENER_KEY)!;
    return new DataView(value.buffer).getBigUint64(LISTENER.UNTIL, true);
  }

  [Symbol.dispose](): void {
    this.drops[Symbol.dispose]();
    this.#bpf[Symbol.dispose]();
  }
}

/** `source > destination` of the outer and the inner packet. */
function flows({ inner, outer }: DroppedPacket): string[] {
  return [outer, inner].map((flow) =>
    flow === undefined
      ? "none"
      : `${formatIpv4(flow.source)} > ${formatIpv4(flow.destination)}`
  );
}

/** As the frame says, at this offset. */
function flowIn(frame: Uint8Array, at: number): string {
  const view = new DataView(frame.buffer, frame.byteOffset);
  const dotted = (offset: number) =>
    formatIpv4(view.getUint32(offset) as never);
  return `${dotted(at + 12)} > ${dotted(at + 16)}`;
}

const drops = (outcome: string | { readonly programs: string }) => {
  const name = typeof outcome === "string" ? outcome : outcome.programs;
  return isDropCounter(name) ? name : undefined;
};

testInNamespace("programs tell what they drop", import.meta.url, () => {
  runSync("ip", ["link", "set", "lo", "address", UNDERLAY.mac]);

  const [OUTER_AT, INNER_AT] = [14, 42];
  const seen = new Set<string>();

  for (const row of RECEIVED) {
    const reason = drops(row.outcome);
    if (reason === undefined) continue;
    seen.add(reason);
    Deno.test(`received: ${row.name}, is told once, as ${reason}`, () => {
      using path = new ProgramPath(surroundings(HOLDERS, row.senderCheck));
      using listening = new Listening(path.world);
      listening.drops.read();
      assertEquals(path.receive(row.frame).outcome, reason);
      const told = listening.drops.read();
      assertEquals(told.map((packet) => packet.reason), [reason]);
      const [outer] = flows(told[0]!);
      assertEquals(outer, flowIn(row.frame, OUTER_AT));
      assert(told[0]!.lengthBytes >= told[0]!.bytes.length);
      assert(Math.abs(told[0]!.timeMs - Date.now()) < 5_000);
      assertEquals(listening.drops.read(), []);
    });
  }

  for (const row of SENT) {
    const reason = drops(row.outcome);
    if (reason === undefined) continue;
    seen.add(reason);
    Deno.test(`sent: ${row.name}, is told once, as ${reason}`, () => {
      using path = new ProgramPath(surroundings(HOLDERS));
      using listening = new Listening(path.world);
      listening.drops.read();
      assertEquals(path.send(row.packet).outcome, reason);
      const told = listening.drops.read();
      assertEquals(told.map((packet) => packet.reason), [reason]);
      assertEquals(flows(told[0]!)[0], "none");
      const frame = overlayFrame(row.packet);
      assertEquals(told[0]!.bytes, frame.slice(0, DROP.CAPTURE_BYTES));
      assertEquals(told[0]!.lengthBytes, frame.length);
    });
  }

  Deno.test("a long frame is told with its length and its first bytes, a short one with all", () => {
    using path = new ProgramPath(surroundings(HOLDERS));
    using listening = new Listening(path.world);
    listening.drops.read();
    const short = arriving(inner({ destination: "10.1.9.9" }));
    const long = arriving(
      inner({ destination: "10.1.9.9", payload: new Uint8Array(1_400) }),
    );
    for (const frame of [short, long]) {
      path.receive(frame);
      const [packet] = listening.drops.read();
      assertEquals(packet!.bytes, frame.slice(0, DROP.CAPTURE_BYTES));
      assertEquals(packet!.lengthBytes, frame.length);
      assertEquals(packet!.device, "lo");
      assertEquals(flows(packet!), [
        flowIn(frame, OUTER_AT),
        flowIn(frame, INNER_AT),
      ]);
    }
  });

  Deno.test("a peer whose deadline has passed is told in both directions", () => {
    seen.add("rx.drop.expired").add("tx.drop.expired");
    const expired = {
      ...peer("10.1.2.0/24", "192.0.2.2"),
      deadlineNs: bootTimeNs() - 1_000_000_000n,
    };
    using path = new ProgramPath(surroundings([expired]));
    using listening = new Listening(path.world);
    listening.drops.read();
    path.receive(arriving(inner()));
    path.send(outgoing());
    assertEquals(
      listening.drops.read().map(({ reason }) => reason),
      ["rx.drop.expired", "tx.drop.expired"],
    );
  });

  Deno.test("a packet by another device than its sender's is told with that device", () => {
    seen.add("rx.drop.wrongInterface");
    runSync("ip", [
      ...["link", "add", "other0", "address", UNDERLAY.mac, "up"],
      ...["type", "veth"],
    ]);
    const [{ ifindex }] = JSON.parse(
      runSync("ip", ["-json", "link", "show", "other0"]),
    );
    using world = new ProgramWorld();
    using listening = new Listening(world);
    listening.drops.read();
    const { counters } = world.run("rx", arriving(inner()), {
      interfaceIndex: ifindex,
    });
    assertEquals(counters, { "rx.drop.wrongInterface": 1 });
    const [packet] = listening.drops.read();
    assertEquals(packet!.reason, "rx.drop.wrongInterface");
    assertEquals(packet!.device, `interface ${ifindex}`);
    runSync("ip", ["link", "delete", "other0"]);
  });

  Deno.test("a packet for whose headers there is no room is told, also by the driver's program", () => {
    seen.add("rx.drop.noRoom").add("tx.drop.noRoom");
    for (
      const [role, frame, helper, reason, bytes] of [
        [
          "rx",
          arriving(inner()),
          "skb_adjust_room",
          "rx.drop.noRoom",
          arriving(inner()).length,
        ],
        [
          "tx",
          overlayFrame(outgoing()),
          "skb_adjust_room",
          "tx.drop.noRoom",
          overlayFrame(outgoing()).length,
        ],
        ["xdp", arriving(inner()), "xdp_adjust_head", "rx.drop.noRoom", 0],
      ] as const
    ) {
      using world = new ProgramWorld({}, undefined, "direct", helper);
      using listening = new Listening(world);
      listening.drops.read();
      world.run(role, frame);
      const told = listening.drops.read();
      assertEquals(told.map((packet) => packet.reason), [reason]);
      assertEquals(told[0]!.lengthBytes, bytes);
    }
  });

  Deno.test("these are all reasons but one, which needs a card that takes VLAN tags off", () => {
    seen.add("tx.drop.notIpv4").add("tx.drop.short");
    const missing = PROGRAM_COUNTERS.filter(isDropCounter)
      .filter((name) => !seen.has(name));
    assertEquals(missing, ["rx.drop.vlanTag"]);
  });

  Deno.test("what is no packet of IPv4 is told as it is", () => {
    using world = new ProgramWorld();
    using listening = new Listening(world);
    listening.drops.read();
    const ipv6 = overlayFrame(new Uint8Array(60), [0x86, 0xdd]);
    world.run("tx", ipv6);
    const [packet] = listening.drops.read();
    assertEquals(packet!.reason, "tx.drop.notIpv4");
    assertEquals(flows(packet!), ["none", "none"]);
    assertEquals(packet!.bytes, ipv6);
  });

  Deno.test("packets that are not dropped are not told", () => {
    using path = new ProgramPath(surroundings(HOLDERS));
    using listening = new Listening(path.world);
    listening.drops.read();
    path.receive(arriving(inner()));
    path.send(outgoing());
    assertEquals(listening.drops.read(), []);
  });

  Deno.test("nothing is recorded while nobody asks, before and after", () => {
    using path = new ProgramPath(surroundings(HOLDERS));
    using listening = new Listening(path.world);
    using ring = new KernelBpf();
    using reader = ring.mapRing(path.world.maps.loden_drops!);
    const stray = arriving(inner(), { source: "192.0.2.99" });
    path.receive(stray);
    assertEquals(reader.read(10).length, 0);
    listening.drops.read();
    path.receive(stray);
    assertEquals(reader.read(10).length, 1);
    listening.drops.end();
    path.receive(stray);
    assertEquals(reader.read(10).length, 0);
  });

  Deno.test("an agent that is gone stops to cost anything: the first drop after its time clears the question", () => {
    using path = new ProgramPath(surroundings(HOLDERS));
    using listening = new Listening(path.world);
    const stray = arriving(inner(), { source: "192.0.2.99" });
    // As if it had asked six seconds ago.
    listening.nowNs = () => bootTimeNs() - 6_000_000_000n;
    listening.drops.read();
    assert(listening.untilNs > 0n);
    path.receive(stray);
    assertEquals(listening.untilNs, 0n);
    using bpf = new KernelBpf();
    using reader = bpf.mapRing(path.world.maps.loden_drops!);
    assertEquals(reader.read(10).length, 0);
  });

  Deno.test("a flood of one reason is limited, all of it is counted, and another reason is still told", () => {
    using path = new ProgramPath(surroundings(HOLDERS));
    using listening = new Listening(path.world);
    listening.drops.read();
    const stray = arriving(inner(), { source: "192.0.2.99" });
    const startedNs = bootTimeNs();
    const before = path.world.counters()["rx.drop.unknownSender"];
    path.world.repeat("rx", stray, FLOOD);
    const tookNs = bootTimeNs() - startedNs;
    path.receive(arriving(inner({ destination: "10.1.9.9" })));
    const told = listening.drops.read().map(({ reason }) => reason);
    const floods = told.filter((name) => name === "rx.drop.unknownSender");
    const windows = Number(tookNs >> BigInt(LISTENER.WINDOW_BITS)) + 2;
    assert(floods.length >= 1);
    assert(
      floods.length <= windows * LISTENER.MOST_PER_WINDOW,
      `${floods.length} records in ${tookNs} ns`,
    );
    assertEquals(told.at(-1), "rx.drop.wrongDestination");
    assertEquals(
      path.world.counters()["rx.drop.unknownSender"] - before,
      FLOOD,
    );
  });

  Deno.test("the limit begins again with the next window", async () => {
    using path = new ProgramPath(surroundings(HOLDERS));
    using listening = new Listening(path.world);
    listening.drops.read();
    const stray = arriving(inner(), { source: "192.0.2.99" });
    path.world.repeat("rx", stray, 1_000);
    assert(listening.drops.read().length <= 3 * LISTENER.MOST_PER_WINDOW);
    await new Promise((resolve) =>
      setTimeout(resolve, 2 ** LISTENER.WINDOW_BITS / 1e6)
    );
    path.receive(stray);
    assertEquals(listening.drops.read().length, 1);
  });

  Deno.test("a damaged header is told although its addresses may be anything", () => {
    using path = new ProgramPath(surroundings(HOLDERS));
    using listening = new Listening(path.world);
    listening.drops.read();
    path.receive(arriving(patched(inner(), 12, [1, 2, 3, 4], "leave")));
    const [packet] = listening.drops.read();
    assertEquals(packet!.reason, "rx.drop.badChecksum");
    assertEquals(flows(packet!)[1], "1.2.3.4 > 10.1.1.7");
  });

  Deno.test("programs without recording drop and count alike", () => {
    using world = new ProgramWorld({ recordsDrops: false });
    const { counters, verdict } = world.run(
      "rx",
      arriving(inner(), { source: "192.0.2.99" }),
    );
    assertEquals(verdict, 2);
    assertEquals(counters, { "rx.drop.unknownSender": 1 });
  });
});
