import { assert, assertEquals } from "@std/assert";
import { PEER_FLAG, WAY } from "../../backend/udp/ebpf/maps.ts";
import {
  OUTER_ID,
  PROTOCOL,
  VERDICT,
} from "../../backend/udp/ebpf/programs/layout.ts";
import { address, peer } from "../support/kernel_world.ts";
import { outerPacket } from "../support/outer_packet.ts";
import { somePayload, tcpPacket } from "../support/packet_builder.ts";
import { overlayFrame } from "../support/packet_paths.ts";
import {
  type ProgramPeer,
  type ProgramRun,
  UNDERLAY,
} from "../support/program_world.ts";
import { assertSet, later, UNKNOWN, WaysWorld } from "../support/ways_world.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";
import { arriving, outgoing } from "./packet_fates_contract.ts";

const ETHERNET_BYTES = 14;
/**
 * A test run's super-packet is of no kind, so the kernel's own encapsulation
 * refuses it (`tx.drop.noRoom`, `rx.drop.noRoom`): by that it is seen to have
 * been tried.
 */
const SUPER = { segments: 2, segmentBytes: 500 };

const HOLDER: ProgramPeer = {
  ...peer("10.1.2.0/24", "192.0.2.2"),
  flags: PEER_FLAG.BARE,
};
const { HEARD, PROBE, SAYS, WHOLE } = OUTER_ID;

const sent = () =>
  tcpPacket({
    source: address("10.1.1.7"),
    destination: address("10.1.2.5"),
    sourcePort: 4000,
    destinationPort: 80,
    sequence: 7,
    payload: somePayload(1_000),
  });
const received = (id: number, source = "192.0.2.2") =>
  arriving(
    tcpPacket({
      source: address("10.1.2.5"),
      destination: address("10.1.1.7"),
      sourcePort: 80,
      destinationPort: 4000,
      sequence: 7,
      payload: somePayload(1_000),
    }),
    { id, source },
  );

function encapsulated(packet: Uint8Array, id: number): string {
  return outerPacket({
    source: UNDERLAY.address,
    destination: "192.0.2.2",
    port: UNDERLAY.port,
    payload: packet,
    id,
  }).toHex();
}

class World extends WaysWorld {
  constructor(holder: ProgramPeer = HOLDER) {
    super(holder);
  }
}

const outerHex = ({ frame }: ProgramRun) => frame.slice(ETHERNET_BYTES).toHex();

testInNamespace("who gets super-packets whole", import.meta.url, () => {
  runSync("ip", ["link", "set", "lo", "address", UNDERLAY.mac]);

  // The kernel copies no super-packet of no kind (`bpf_clone_redirect`): that probes
  // go out, and with what they carry, is in `tests/e2e/whole_ways_test.ts`.
  Deno.test("a peer of whom nothing is known is tried now and after a rest; without a copy the packet goes as ever", () => {
    using world = new World();
    const tried = () => {
      const run = world.run("tx", overlayFrame(sent()), SUPER);
      assertEquals(run.counters, { "tx.drop.noRoom": 1 });
      return world.known().PROBE_FROM;
    };
    assertSet(tried(), 30_000n);
    const PROBE_FROM = later();
    world.know({ PROBE_FROM });
    assertEquals(tried(), PROBE_FROM);
    world.know({ PROBE_FROM: 1n });
    assert(tried() > 1n);
  });

  Deno.test("a super-packet goes without marks as long as the peer is known to get it, and says so", () => {
    using world = new World();
    world.know({ TO_UNTIL: later() });
    const run = world.run("tx", overlayFrame(sent()), SUPER);
    assertEquals(run.verdict, VERDICT.REDIRECT);
    assertEquals(run.counters, {
      "tx.packets": 2,
      "tx.bytes": sent().length,
      "tx.superPackets": 1,
      "tx.whole": 1,
    });
    assertEquals(outerHex(run), encapsulated(sent(), SAYS | WHOLE));
    world.know({ TO_UNTIL: 1n, PROBE_FROM: later() });
    assertEquals(world.run("tx", overlayFrame(sent()), SUPER).counters, {
      "tx.drop.noRoom": 1,
    });
  });

  Deno.test("every packet tells a peer that it is heard, as long as that is so", () => {
    using world = new World();
    const single = () => outerHex(world.run("tx", overlayFrame(sent())));
    assertEquals(single(), encapsulated(sent(), 0));
    world.know({ FROM_UNTIL: later() });
    assertEquals(single(), encapsulated(sent(), SAYS | HEARD));
    assertEquals(
      outerHex(world.run("tx", overlayFrame(outgoing()))),
      encapsulated(outgoing(), SAYS | HEARD),
    );
    world.know({ FROM_UNTIL: later(), TO_UNTIL: later() });
    assertEquals(
      outerHex(world.run("tx", overlayFrame(sent()), SUPER)),
      encapsulated(sent(), SAYS | HEARD | WHOLE),
    );
    world.know({ FROM_UNTIL: 1n });
    assertEquals(single(), encapsulated(sent(), 0));
  });

  for (
    const [whom, holder] of [
      ["that may not be tried", { ...HOLDER, flags: 0 }],
      ["in user space", { ...HOLDER, flags: PEER_FLAG.CUT }],
    ] as const
  ) {
    Deno.test(`a peer ${whom} is sent no probe and told nothing, and what it says means nothing`, () => {
      using world = new World(holder);
      const way = { ...UNKNOWN, FROM_UNTIL: later() };
      world.know(way);
      const { counters, verdict } = world.run(
        "tx",
        overlayFrame(sent()),
        SUPER,
      );
      assertEquals(
        [verdict, counters],
        holder.flags === 0
          ? [VERDICT.DROP, { "tx.drop.noRoom": 1 }]
          : [VERDICT.NEXT, { "tx.cut": 1 }],
      );
      world.run("rx", received(SAYS | HEARD));
      world.run("rx", received(SAYS | WHOLE), SUPER);
      assertEquals(world.known(), way);
    });
  }

  Deno.test("a super-packet of UDP is no probe and goes with its marks", () => {
    using world = new World();
    world.know({ TO_UNTIL: later() });
    const packet = outgoing({ payload: somePayload(1_000) });
    assertEquals(packet[9], PROTOCOL.UDP);
    assertEquals(world.run("tx", overlayFrame(packet), SUPER).counters, {
      "tx.drop.noRoom": 1,
    });
  });

  Deno.test("of peers without a place of their own nothing is known, and none is tried", () => {
    using world = new World();
    world.put(HOLDER, 0);
    world.run("tx", overlayFrame(sent()), SUPER);
    world.run("rx", received(SAYS | HEARD | WHOLE), SUPER);
    assertEquals(
      world.maps.loden_ways.lookup(new Uint8Array(4)),
      new Uint8Array(WAY.BYTES),
    );
  });

  Deno.test("a probe that arrives whole is heard for a tenth of a second, and dropped", () => {
    using world = new World();
    const run = world.run("rx", received(SAYS | PROBE), SUPER);
    assertEquals(run.verdict, VERDICT.DROP);
    assertEquals(run.counters, { "rx.probes": 1 });
    const { FROM_UNTIL, ...others } = world.known();
    assertSet(FROM_UNTIL, 100n);
    assertEquals(others, { TO_UNTIL: 0n, PROBE_FROM: 0n });
  });

  Deno.test("a super-packet that says that it is whole is heard, and taken", () => {
    using world = new World();
    const run = world.run("rx", received(SAYS | WHOLE), SUPER);
    assertEquals(run.counters, { "rx.drop.noRoom": 1 });
    assertSet(world.known().FROM_UNTIL, 100n);
  });

  Deno.test("who is told that it is heard sends so for a tenth of a second, and may try at once after it", () => {
    using world = new World();
    world.know({ PROBE_FROM: later() });
    const run = world.run("rx", received(SAYS | HEARD));
    assertEquals(run.verdict, VERDICT.REDIRECT);
    const { TO_UNTIL, ...others } = world.known();
    assertSet(TO_UNTIL, 100n);
    assertEquals(others, { FROM_UNTIL: 0n, PROBE_FROM: 0n });
  });

  Deno.test("pieces of a packet that was cut say nothing but that we are heard, and are taken", () => {
    using world = new World();
    // The kernel counts on from what the whole one said.
    for (const id of [WHOLE, PROBE, PROBE | WHOLE]) {
      const run = world.run("rx", received(SAYS | id));
      assertEquals(run.verdict, VERDICT.REDIRECT);
      assertEquals(world.known(), UNKNOWN);
    }
  });

  const SPEAKERS: readonly [string, number, string][] = [
    ["of another kind", 0x1234, "192.0.2.2"],
    ["just before ours", SAYS - 1, "192.0.2.2"],
    ["just behind ours", SAYS + 8, "192.0.2.2"],
    ["of a stranger", SAYS | HEARD | WHOLE, "192.0.2.99"],
  ];
  for (const [what, id, source] of SPEAKERS) {
    Deno.test(`an identification ${what} means nothing`, () => {
      using world = new World();
      for (const offload of [undefined, SUPER]) {
        world.run("rx", received(id, source), offload);
        assertEquals(world.known(), UNKNOWN);
      }
    });
  }
});
