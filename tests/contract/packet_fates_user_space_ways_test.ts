import { assertEquals } from "@std/assert";
import { PEER_FLAG, WAY } from "../../backend/udp/ebpf/maps.ts";
import { VERDICT } from "../../backend/udp/ebpf/programs/layout.ts";
import { address, peer } from "../support/kernel_world.ts";
import { type OuterPacket, outerPacket } from "../support/outer_packet.ts";
import { somePayload, tcpPacket } from "../support/packet_builder.ts";
import { overlayFrame } from "../support/packet_paths.ts";
import {
  type Offload,
  type ProgramPeer,
  UNDERLAY,
} from "../support/program_world.ts";
import {
  assertSet,
  later,
  SLOT,
  UNKNOWN,
  WaysWorld,
} from "../support/ways_world.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";
import { arriving, outgoing } from "./packet_fates_contract.ts";

const ETHERNET_BYTES = 14;
const { CHECKSUM, CUT, TAKES_WHOLE } = PEER_FLAG;
/**
 * A test run's super-packet is of no kind: the kernel does not copy it, and its
 * encapsulation refuses it (`tx.drop.noRoom`), by which it is seen that it was to
 * go as it is. What it looks like then is in `tests/e2e/mixed_pairs_test.ts`.
 */
const SUPER: Offload = { segments: 2, segmentBytes: 600 };

const HOLDER: ProgramPeer = {
  ...peer("10.1.2.0/24", "192.0.2.2"),
  flags: CUT | CHECKSUM | TAKES_WHOLE,
};
/** No IP packet, "Lo", version 1, and the first address of the holder's subnet. */
const RECEIPT = Uint8Array.fromHex("004c6f010a010200");

const sent = (ipOptions = new Uint8Array()) =>
  tcpPacket({
    source: address("10.1.1.7"),
    destination: address("10.1.2.5"),
    sourcePort: 4000,
    destinationPort: 80,
    sequence: 7,
    ipOptions,
    payload: somePayload(1_000),
  });

class World extends WaysWorld {
  constructor(
    holder: ProgramPeer = HOLDER,
    host: ConstructorParameters<typeof WaysWorld>[1] = {},
  ) {
    super(holder, host);
  }

  send(packet: Uint8Array, offload?: Offload) {
    const run = this.run("tx", overlayFrame(packet), offload);
    return { ...run, outer: run.frame.slice(ETHERNET_BYTES).toHex() };
  }

  receive(payload: Uint8Array, outer: Partial<OuterPacket> = {}) {
    return this.run("rx", arriving(payload, outer));
  }
}

testInNamespace("who in user space gets super-packets", import.meta.url, () => {
  runSync("ip", ["link", "set", "lo", "address", UNDERLAY.mac]);

  Deno.test("a peer of whom nothing is known is tried now and after a rest; without a copy the packet is cut as ever", () => {
    using world = new World();
    const tried = () => {
      const { counters, verdict } = world.send(sent(), SUPER);
      assertEquals([verdict, counters], [VERDICT.NEXT, { "tx.cut": 1 }]);
      return world.known().PROBE_FROM;
    };
    assertSet(tried(), 30_000n);
    const PROBE_FROM = later();
    world.know({ PROBE_FROM });
    assertEquals(tried(), PROBE_FROM);
    world.know({ PROBE_FROM: 1n, TO_UNTIL: 1n });
    assertSet(tried(), 30_000n);
  });

  Deno.test("a super-packet goes as it is for as long as a receipt counts", () => {
    using world = new World();
    world.know({ TO_UNTIL: later() });
    assertEquals(world.send(sent(), SUPER).counters, {
      "tx.whole": 1,
      "tx.drop.noRoom": 1,
    });
    world.know({ TO_UNTIL: 1n, PROBE_FROM: later() });
    assertEquals(world.send(sent(), SUPER).counters, { "tx.cut": 1 });
  });

  Deno.test("so long no other TCP packet waits to be cut either, and none else goes without", () => {
    using world = new World();
    const cut = () => world.send(sent()).counters;
    assertEquals(cut(), { "tx.cut": 1 });
    assertEquals(world.known(), UNKNOWN);
    world.know({ TO_UNTIL: later() });
    const run = world.send(sent());
    assertEquals(run.verdict, VERDICT.REDIRECT);
    assertEquals(
      run.outer,
      outerPacket({
        source: UNDERLAY.address,
        destination: "192.0.2.2",
        port: UNDERLAY.port,
        payload: sent(),
      }).toHex(),
    );
    assertEquals(run.counters, {
      "tx.packets": 1,
      "tx.bytes": sent().length,
    });
    assertEquals(world.send(outgoing()).counters, { "tx.cut": 1 });
  });

  const ALWAYS_CUT: readonly [string, Uint8Array, Offload][] = [
    ["of UDP", outgoing({ payload: somePayload(1_000) }), SUPER],
    ["with IP options", sent(new Uint8Array(4)), SUPER],
    ["in packets of 511 bytes", sent(), { segments: 2, segmentBytes: 511 }],
    [
      "in packets of as many bytes as the port's number",
      sent(),
      { segments: 2, segmentBytes: UNDERLAY.port },
    ],
  ];
  for (const [what, packet, offload] of ALWAYS_CUT) {
    Deno.test(`a super-packet ${what} is cut, and no probe`, () => {
      using world = new World();
      for (const way of [{ TO_UNTIL: later() }, {}]) {
        world.know(way);
        assertEquals(world.send(packet, offload).counters, { "tx.cut": 1 });
        assertEquals(world.known().PROBE_FROM, 0n);
      }
    });
  }

  const OTHERS: readonly [string, number, number, boolean][] = [
    ["flannel's host", CUT, SLOT, true],
    ["a peer without a place of its own", CUT | TAKES_WHOLE, 0, true],
    ["anybody, where the underlay is no veth", CUT | TAKES_WHOLE, SLOT, false],
  ];
  for (const [whom, flags, slot, findWholeWays] of OTHERS) {
    Deno.test(`nothing goes as it is to ${whom}, and no receipt of it counts`, () => {
      using world = new World(HOLDER, { findWholeWays });
      world.put({ ...HOLDER, flags }, slot);
      world.know({ TO_UNTIL: 1n });
      assertEquals(world.send(sent(), SUPER).counters, { "tx.cut": 1 });
      assertEquals(world.receive(RECEIPT).counters, { "rx.drop.short": 1 });
      assertEquals(world.known(), { ...UNKNOWN, TO_UNTIL: 1n });
      assertEquals(
        world.maps.loden_ways.lookup(new Uint8Array(4)),
        new Uint8Array(WAY.BYTES),
      );
    });
  }

  Deno.test("a receipt counts for a second, and goes no further; after it one may try at once", () => {
    using world = new World();
    world.know({ PROBE_FROM: later() });
    const { counters, verdict } = world.receive(RECEIPT);
    assertEquals([verdict, counters], [VERDICT.DROP, { "rx.receipts": 1 }]);
    const { TO_UNTIL, ...others } = world.known();
    assertSet(TO_UNTIL, 1_000n);
    assertEquals(others, { FROM_UNTIL: 0n, PROBE_FROM: 0n });
  });

  const of = (hex: string) => Uint8Array.fromHex(hex);
  const NO_RECEIPTS: readonly [string, Uint8Array, Partial<OuterPacket>][] = [
    ["of a stranger", RECEIPT, { source: "192.0.2.99" }],
    ["about nobody's subnet", of("004c6f010a010900"), {}],
    ["of another version", of("004c6f020a010200"), {}],
    ["of another program", of("344c6f010a010200"), {}],
    ["that ends early", RECEIPT.subarray(0, 7), {}],
    ["with a byte more", new Uint8Array([...RECEIPT, 0]), {}],
  ];
  for (const senderCheck of ["strict", "count", "off"] as const) {
    for (const [what, payload, outer] of NO_RECEIPTS) {
      Deno.test(`sender check ${senderCheck}: a datagram ${what} is no receipt`, () => {
        using world = new World(HOLDER, { senderCheck });
        assertEquals(world.receive(payload, outer).counters, {
          "rx.drop.short": 1,
        });
        assertEquals(world.known(), UNKNOWN);
      });
    }
  }

  Deno.test("a receipt of a peer whose deadline is over does not count", () => {
    using world = new World({ ...HOLDER, deadlineNs: 1n });
    assertEquals(world.receive(RECEIPT).counters, { "rx.drop.short": 1 });
    assertEquals(world.known(), UNKNOWN);
  });
});
