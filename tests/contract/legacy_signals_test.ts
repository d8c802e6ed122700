import { assertEquals } from "@std/assert";
import { VERDICT } from "../../backend/udp/ebpf/programs/layout.ts";
import { address } from "../support/kernel_world.ts";
import { somePayload, tcpPacket } from "../support/packet_builder.ts";
import { ProgramWorld, UNDERLAY } from "../support/program_world.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";
import { arriving, HOLDERS } from "./packet_fates_contract.ts";

/**
 * A test run's super-packet is of no kind, and the kernel refuses to decapsulate
 * it: `rx.drop.noRoom` says that the program has tried.
 */
const SUPER = { segments: 2, segmentBytes: 500 };
const TRIED = { "rx.drop.noRoom": 1 };

const PACKET = tcpPacket({
  source: address("10.1.2.5"),
  destination: address("10.1.1.7"),
  sourcePort: 80,
  destinationPort: 4000,
  sequence: 7,
  payload: somePayload(1_000),
});
const withId = (id: number, source = "192.0.2.2") =>
  arriving(PACKET, { id, source });

testInNamespace("what earlier versions say", import.meta.url, () => {
  runSync("ip", ["link", "set", "lo", "address", UNDERLAY.mac]);

  /** An outer identification, what it says, and what becomes of a super-packet. */
  const IDS: readonly [number, string, Readonly<Record<string, number>>][] = [
    [0x4c54, "probe", { "rx.legacySignals": 1 }],
    [0x4c55, "probe, whole", { "rx.legacySignals": 1 }],
    [0x4c56, "probe, heard", { "rx.legacySignals": 1 }],
    [0x4c57, "probe, heard, whole", { "rx.legacySignals": 1 }],
    [0x4c50, "nothing", TRIED],
    [0x4c51, "whole", TRIED],
    [0x4c52, "heard", TRIED],
    [0x4c53, "heard, whole", TRIED],
    [0x4c58, "a word of another kind", TRIED],
    [0x544c, "a word in the other byte order", TRIED],
    [0, "nothing", TRIED],
  ];
  for (const role of ["rx", "hop"] as const) {
    for (const [id, what, counters] of IDS) {
      const hex = id.toString(16).padStart(4, "0");
      Deno.test(`${role}: a super-packet with the identification ${hex} (${what}): ${Object.keys(counters)}`, () => {
        using world = new ProgramWorld({}, HOLDERS);
        const run = world.run(role, withId(id), SUPER);
        assertEquals([run.verdict, run.counters], [VERDICT.DROP, counters]);
      });
    }
  }

  Deno.test("a single packet is taken with each of these words: it may be a segment", () => {
    using world = new ProgramWorld({}, HOLDERS);
    for (const [id] of IDS) {
      const run = world.run("rx", withId(id));
      assertEquals([run.verdict, run.counters], [VERDICT.REDIRECT, {
        "rx.packets": 1,
        "rx.bytes": PACKET.length,
      }]);
    }
  });

  Deno.test("a probe of a stranger is dropped as any packet of one", () => {
    using world = new ProgramWorld({}, HOLDERS);
    const run = world.run("rx", withId(0x4c54, "192.0.2.99"), SUPER);
    assertEquals(run.counters, { "rx.drop.unknownSender": 1 });
  });

  Deno.test("packets that leave say nothing: their identification is 0", () => {
    using world = new ProgramWorld({}, HOLDERS);
    const sent = tcpPacket({
      source: address("10.1.1.7"),
      destination: address("10.1.2.5"),
      sourcePort: 4000,
      destinationPort: 80,
      sequence: 7,
      payload: somePayload(100),
    });
    const frame = new Uint8Array([...new Uint8Array(12), 8, 0, ...sent]);
    const { frame: outer } = world.run("tx", frame);
    assertEquals(new DataView(outer.buffer).getUint16(14 + 4), 0);
  });
});
