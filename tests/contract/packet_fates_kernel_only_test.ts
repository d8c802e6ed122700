import { assert, assertEquals, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import { PEER_SLOTS } from "../../backend/udp/ebpf/maps.ts";
import { VERDICT } from "../../backend/udp/ebpf/programs/layout.ts";
import { bootTimeNs } from "../../linux/clock.ts";
import { formatIpv4, toIpv4 } from "../../net/ipv4.ts";
import { isDamaged } from "../support/host_socket.ts";
import { address, network, peer } from "../support/kernel_world.ts";
import { outerPacket } from "../support/outer_packet.ts";
import {
  MF,
  somePayload,
  type TcpFields,
  tcpPacket,
} from "../support/packet_builder.ts";
import {
  overlayFrame,
  ProgramPath,
  surroundings,
} from "../support/packet_paths.ts";
import {
  cutPeer,
  DEVICE_MAC,
  macBytes,
  type ProgramPeer,
  ProgramWorld,
  UNDERLAY,
} from "../support/program_world.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";
import {
  arriving,
  HOLDERS,
  inner,
  outgoing,
  patched,
  RECEIVED,
} from "./packet_fates_contract.ts";

const ETHERNET_BYTES = 14;
const IP_BYTES = 20;
const UDP_CHECKSUM_AT = IP_BYTES + 6;
const HOUR_NS = 3_600_000_000_000n;
/** The programs look at the clock once a tick. */
const OVER_NS = -1_000_000_000n;
const NO_OPERATIONS = new Uint8Array(4).fill(1);
const PADDED_BYTES = 18;

const HOLDER = HOLDERS[0]!;

/** A peer with a deadline, from now on. */
function until(peer: ProgramPeer, fromNowNs: bigint): ProgramPeer {
  return { ...peer, deadlineNs: bootTimeNs() + fromNowNs };
}

const tcp = (fields: Partial<TcpFields> = {}) =>
  tcpPacket({
    source: address("10.1.1.7"),
    destination: address("10.1.2.5"),
    sourcePort: 4000,
    destinationPort: 80,
    sequence: 7,
    payload: somePayload(100),
    ...fields,
  });

/** The bytes of the underlay's packet with this one in it. */
function encapsulated(packet: Uint8Array, udpChecksum: "none" | "right") {
  return outerPacket({
    source: UNDERLAY.address,
    destination: formatIpv4(HOLDER.publicIp),
    port: UNDERLAY.port,
    payload: packet,
    udpChecksum,
  });
}

testInNamespace("what only programs do", import.meta.url, () => {
  runSync("ip", ["link", "set", "lo", "address", UNDERLAY.mac]);

  /** What a deadline is, and the counters of a packet in and one out. */
  const DEADLINES = [
    ["strict", OVER_NS, { "rx.drop.expired": 1 }, { "tx.drop.expired": 1 }],
    ["count", OVER_NS, {
      "rx.packets": 1,
      "rx.bytes": 68,
      "rx.senderMismatchPassed": 1,
    }, { "tx.drop.expired": 1 }],
    ["off", OVER_NS, { "rx.packets": 1, "rx.bytes": 68 }, {
      "tx.drop.expired": 1,
    }],
    ["strict", HOUR_NS, { "rx.packets": 1, "rx.bytes": 68 }, {
      "tx.packets": 1,
      "tx.bytes": 68,
    }],
  ] as const;
  for (const [senderCheck, fromNowNs, received, sent] of DEADLINES) {
    const tense = fromNowNs < 0n ? "is over" : "is to come";
    Deno.test(`a deadline that ${tense}: ${Object.keys(received)} and ${Object.keys(sent)} (${senderCheck})`, () => {
      using path = new ProgramPath(
        surroundings([until(HOLDER, fromNowNs)], senderCheck),
      );
      assertEquals(path.receive(arriving(inner())).counters, received);
      assertEquals(path.send(outgoing()).counters, sent);
    });
  }

  Deno.test("a packet to a peer whose deadline has passed is not sent to another peer", () => {
    using path = new ProgramPath(
      surroundings([
        HOLDER,
        until(peer("10.1.2.128/25", "192.0.2.4"), OVER_NS),
      ]),
    );
    const fate = path.send(outgoing({ destination: "10.1.2.200" }));
    assertEquals(fate.outcome, "tx.drop.expired");
    assertEquals(path.send(outgoing()).outcome, "sent");
  });

  Deno.test("a deadline that is put off counts at once, and so does one that ends", () => {
    using path = new ProgramPath(surroundings([until(HOLDER, OVER_NS)]));
    assertEquals(path.send(outgoing()).outcome, "tx.drop.expired");
    path.world.put(until(HOLDER, HOUR_NS), 1);
    assertEquals(path.send(outgoing()).outcome, "sent");
    assertEquals(path.receive(arriving(inner())).outcome, "delivered");
    path.world.put(until(HOLDER, OVER_NS), 1);
    assertEquals(path.receive(arriving(inner())).outcome, "rx.drop.expired");
  });

  Deno.test("a moved peer is sent to and believed at its new address only", () => {
    using path = new ProgramPath(surroundings([HOLDER]));
    path.world.put({ ...HOLDER, publicIp: address("192.0.2.50") }, 1);
    assertEquals(path.send(outgoing()).peer, address("192.0.2.50"));
    assertEquals(
      path.receive(arriving(inner(), { source: "192.0.2.50" })).outcome,
      "delivered",
    );
    assertEquals(
      path.receive(arriving(inner())).outcome,
      "rx.drop.wrongSource",
    );
  });

  Deno.test("outgoing frames that are not IPv4 are dropped and counted", () => {
    using world = new ProgramWorld();
    for (const etherType of [[0x86, 0xdd], [0x08, 0x06], [0x88, 0xcc]]) {
      const run = world.run("tx", overlayFrame(outgoing(), etherType));
      assertEquals(run.verdict, VERDICT.DROP);
      assertEquals(run.counters, { "tx.drop.notIpv4": 1 });
    }
  });

  for (
    const [name, holder] of [["loden_tx", HOLDER], [
      "loden_hop",
      cutPeer(HOLDER),
    ]] as const
  ) {
    Deno.test(`${name} puts flannel's headers in front, with DF, TTL 64 and no checksum`, () => {
      using path = new ProgramPath(surroundings([holder]));
      for (
        const packet of [
          outgoing(),
          outgoing({ fragment: MF }),
          outgoing({ ipOptions: NO_OPERATIONS }),
          tcp(),
          tcp({ payload: somePayload(1) }),
          outgoing({ payload: somePayload(1_444) }),
          outgoing({ payload: somePayload(3_000) }),
        ]
      ) {
        const { cut, run } = path.encapsulate(packet);
        assertEquals(cut, holder !== HOLDER);
        assertEquals(run.verdict, VERDICT.REDIRECT);
        assertEquals(
          run.frame.slice(ETHERNET_BYTES).toHex(),
          encapsulated(packet, "none").toHex(),
        );
        assertEquals(run.frame.slice(12, 14), Uint8Array.of(8, 0));
      }
    });
  }

  Deno.test("the address and the port of the host are in the outer headers", () => {
    const underlayAddress = address("198.51.100.254");
    using world = new ProgramWorld({ underlayAddress, port: 51820 });
    const { frame } = world.run("tx", overlayFrame(outgoing()));
    assertEquals(
      frame.slice(ETHERNET_BYTES).toHex(),
      outerPacket({
        source: "198.51.100.254",
        destination: "192.0.2.2",
        port: 51820,
        payload: outgoing(),
      }).toHex(),
    );
    const counters = (port: number, destination: string) =>
      world.run("rx", arriving(inner(), { port, destination })).counters;
    assertEquals(counters(51820, "198.51.100.254")["rx.packets"], 1);
    assertEquals(counters(8285, "198.51.100.254"), {});
    assertEquals(counters(51820, UNDERLAY.address), {});
  });

  Deno.test("TCP to a peer that needs it gets an outer checksum that is right", () => {
    using path = new ProgramPath(surroundings([cutPeer(HOLDER, true)]));
    fc.assert(
      fc.property(
        fc.record({
          source: fc.nat(0xffff_ffff),
          destination: fc.integer({ min: 0x0a010200, max: 0x0a0102ff }),
          id: fc.nat(65_535),
          tos: fc.nat(255),
          ttl: fc.nat(255),
          sequence: fc.nat(0xffff_ffff),
          flags: fc.nat(255),
          window: fc.nat(65_535),
          ipOptions: fc.nat(10).map((words) =>
            new Uint8Array(words * 4).fill(1)
          ),
          options: fc.nat(10).map((words) => new Uint8Array(words * 4).fill(1)),
          payload: fc.nat(1_300).map((bytes) => somePayload(bytes, bytes)),
        }),
        (fields) => {
          const packet = tcp(fields);
          const { run } = path.encapsulate(packet);
          assertEquals(
            run.frame.slice(ETHERNET_BYTES).toHex(),
            encapsulated(packet, "right").toHex(),
          );
        },
      ),
      { numRuns: 1000 },
    );
  });

  Deno.test("a checksum that comes out as 0 is sent as 0xffff", () => {
    using path = new ProgramPath(surroundings([cutPeer(HOLDER, true)]));
    // One of all sources' lower halves makes it so.
    for (let low = 0; low < 65_536; low++) {
      const packet = tcp({ source: 0x0a01_0000 + low });
      const outer = encapsulated(packet, "right");
      if (outer[UDP_CHECKSUM_AT] !== 255) continue;
      if (outer[UDP_CHECKSUM_AT + 1] !== 255) continue;
      const { run } = path.encapsulate(packet);
      assertEquals(run.frame.slice(ETHERNET_BYTES).toHex(), outer.toHex());
      return;
    }
    throw new Error("no source makes the checksum 0");
  });

  Deno.test("a packet whose own checksum is wrong gets an outer one that is wrong", () => {
    using path = new ProgramPath(surroundings([cutPeer(HOLDER, true)]));
    const broken = patched(tcp(), IP_BYTES + 16, [0x12, 0x34], "leave");
    const { run } = path.encapsulate(broken);
    const outer = run.frame.subarray(ETHERNET_BYTES);
    assertEquals(isDamaged(outer.subarray(IP_BYTES), outer), true);
  });

  Deno.test("UDP, fragments and other protocols get no outer checksum", () => {
    using path = new ProgramPath(surroundings([cutPeer(HOLDER, true)]));
    for (
      const packet of [
        outgoing(),
        tcp({ fragment: MF }),
        tcp({ fragment: 77 }),
        patched(tcp(), 9, [1]),
      ]
    ) {
      const { run } = path.encapsulate(packet);
      assertEquals(
        run.frame.slice(ETHERNET_BYTES).toHex(),
        encapsulated(packet, "none").toHex(),
      );
    }
  });

  /** Who is cut for; and whether UDP and TCP go through the pair. */
  const CUTS = [
    ["a peer that takes all", HOLDER, false, false, false],
    ["a peer that takes all, where UDP must be cut", HOLDER, true, true, false],
    ["a peer that takes less", cutPeer(HOLDER), false, true, true],
  ] as const;
  for (const [name, holder, cutUdp, udpIsCut, tcpIsCut] of CUTS) {
    Deno.test(`to ${name}, UDP goes ${udpIsCut ? "through the pair" : "straight"} and TCP ${tcpIsCut ? "through the pair" : "straight"}`, () => {
      using path = new ProgramPath(surroundings([holder]), { cutUdp });
      for (
        const [packet, isCut] of [
          [outgoing(), udpIsCut],
          [outgoing({ fragment: 9 }), udpIsCut],
          [tcp(), tcpIsCut],
        ] as const
      ) {
        const { cut, run } = path.encapsulate(packet);
        assertEquals(cut, isCut);
        assertEquals(run.verdict, VERDICT.REDIRECT);
        assertEquals(run.counters, {
          "tx.packets": 1,
          "tx.bytes": packet.length,
          ...(isCut ? { "tx.cut": 1 } : {}),
        });
      }
    });
  }

  Deno.test("a super-packet counts as the packets that it is", () => {
    using world = new ProgramWorld();
    const offload = { segments: 5 };
    assertEquals(world.run("tx", overlayFrame(tcp()), offload).counters, {
      "tx.packets": 5,
      "tx.bytes": tcp().length,
      "tx.superPackets": 1,
    });
    assertEquals(world.run("rx", arriving(inner()), offload).counters, {
      "rx.packets": 5,
      "rx.bytes": inner().length,
      "rx.superPackets": 1,
    });
  });

  Deno.test("merged datagrams go on as they are, to the other end of the pair, to be cut", () => {
    using world = new ProgramWorld();
    const merged = Uint8Array.of(...inner(), ...inner());
    const given = arriving(merged);
    const run = world.run("rx", given, { segments: 2, segmentBytes: 68 });
    assertEquals(run.verdict, VERDICT.REDIRECT);
    assertEquals(run.counters, { "rx.aggregates": 1 });
    assertEquals(run.frame.slice(0, 6), world.host.hop.mac);
    assertEquals(run.frame.slice(6, 12), world.host.hop.mac);
    assertEquals(
      run.frame.slice(ETHERNET_BYTES),
      given.slice(ETHERNET_BYTES),
    );
    // What was not cut there must not go round.
    const again = world.run("hop", run.frame, { segmentBytes: 68 });
    assertEquals(again.verdict, VERDICT.DROP);
    assertEquals(again.counters, { "rx.drop.badLength": 1 });
  });

  Deno.test("what the kernel gives no room for is dropped and counted", () => {
    using world = new ProgramWorld();
    // A super-packet of no kind: bpf_skb_adjust_room refuses it.
    const offload = { segments: 2, segmentBytes: 30 };
    assertEquals(world.run("tx", overlayFrame(tcp()), offload).counters, {
      "tx.drop.noRoom": 1,
    });
    assertEquals(world.run("rx", arriving(inner()), offload).counters, {
      "rx.drop.noRoom": 1,
    });
  });

  Deno.test("each peer has its own counts, and one without a slot does none harm", () => {
    using world = new ProgramWorld({}, HOLDERS);
    world.run("rx", arriving(inner()));
    world.run(
      "rx",
      arriving(inner({ source: "10.1.3.5" }), {
        source: "192.0.2.3",
      }),
      { segments: 3 },
    );
    world.run("tx", overlayFrame(outgoing()));
    world.run("tx", overlayFrame(outgoing()));
    assertEquals(world.traffic(1), {
      TX_PACKETS: 2,
      TX_BYTES: 136,
      RX_PACKETS: 1,
      RX_BYTES: 68,
    });
    assertEquals(world.traffic(2), {
      TX_PACKETS: 0,
      TX_BYTES: 0,
      RX_PACKETS: 3,
      RX_BYTES: 68,
    });
    world.put(HOLDER, PEER_SLOTS);
    const run = world.run("tx", overlayFrame(outgoing()));
    assertEquals(run.counters, { "tx.packets": 1, "tx.bytes": 68 });
  });

  Deno.test("a packet that is dropped or not a known peer's counts for no peer", () => {
    using world = new ProgramWorld({ senderCheck: "count" }, HOLDERS);
    world.run("rx", arriving(inner(), { source: "192.0.2.99" }));
    world.run("rx", arriving(inner({ destination: "10.1.2.7" })));
    world.run("tx", overlayFrame(patched(outgoing(), 3, [67])));
    const none = { TX_PACKETS: 0, TX_BYTES: 0, RX_PACKETS: 0, RX_BYTES: 0 };
    for (let slot = 0; slot < 4; slot++) {
      assertEquals(world.traffic(slot), none);
    }
  });

  Deno.test("a delivered frame is for the overlay device, from itself", () => {
    using world = new ProgramWorld();
    for (const packet of [inner(), inner({ ipOptions: NO_OPERATIONS })]) {
      const { frame } = world.run(
        "rx",
        arriving(packet, {}, { paddingBytes: PADDED_BYTES }),
      );
      const mac = macBytes(DEVICE_MAC);
      assertEquals(
        frame.toHex(),
        Uint8Array.of(
          ...[...mac, ...mac, 8, 0, ...packet],
          ...new Uint8Array(PADDED_BYTES),
        ).toHex(),
      );
    }
  });

  Deno.test("packets to the other end of the pair are not encapsulated", () => {
    using world = new ProgramWorld();
    const frame = overlayFrame(outgoing());
    frame.set(world.host.hop.mac);
    const run = world.run("tx", frame);
    assertEquals([run.verdict, run.counters], [VERDICT.NEXT, {}]);
    // One that differs only in the last byte is.
    frame[5]! ^= 1;
    assertEquals(world.run("tx", frame).verdict, VERDICT.REDIRECT);
    frame[5]! ^= 1;
    frame[0]! ^= 2;
    assertEquals(world.run("tx", frame).verdict, VERDICT.REDIRECT);
  });

  for (const row of RECEIVED) {
    Deno.test(`loden_hop decides like loden_rx about ${row.name}`, () => {
      using world = new ProgramWorld(
        { senderCheck: row.senderCheck ?? "strict" },
        HOLDERS,
      );
      const isForOtherEnd = world.host.hop.mac
        .every((byte, index) => byte === row.frame[index]);
      const rx = world.run("rx", row.frame);
      if (!isForOtherEnd) return assertEquals(rx.verdict, VERDICT.NEXT);
      const hop = world.run("hop", row.frame);
      assertEquals(hop, rx);
    });
  }

  for (const delivery of ["direct", "merge"] as const) {
    Deno.test(`the ingress program's verdicts are the same whether packets are merged or not: ${delivery}`, () => {
      for (
        const { frame, name, programs, senderCheck = "strict" } of RECEIVED
      ) {
        using world = new ProgramWorld({ senderCheck }, HOLDERS, delivery);
        const run = world.run("rx", frame);
        if (programs === "leave") assertEquals(run.verdict, VERDICT.NEXT, name);
        if (programs === "strip") {
          assertEquals(run.verdict, VERDICT.REDIRECT, name);
        }
      }
    });
  }

  Deno.test("/0 and /32 subnets are looked up correctly", () => {
    using world = new ProgramWorld(
      { subnet: network("10.1.1.7/32") },
      [peer("0.0.0.0/0", "192.0.2.2"), peer("10.1.3.3/32", "192.0.2.3")],
    );
    const from = (source: string, sender: string, destination = "10.1.1.7") =>
      world.run(
        "rx",
        arriving(inner({ source, destination }), { source: sender }),
      ).verdict;
    assertEquals(from("10.1.3.3", "192.0.2.3"), VERDICT.REDIRECT);
    assertEquals(from("10.1.3.3", "192.0.2.2"), VERDICT.DROP);
    assertEquals(from("10.1.3.4", "192.0.2.2"), VERDICT.REDIRECT);
    assertEquals(from("255.1.2.3", "192.0.2.2"), VERDICT.REDIRECT);
    assertEquals(from("10.1.3.4", "192.0.2.2", "10.1.1.6"), VERDICT.DROP);
    assertEquals(from("10.1.3.4", "192.0.2.2", "10.1.1.8"), VERDICT.DROP);
  });

  Deno.test("addresses above 127.255.255.255 are compared as well as those below", () => {
    // Immediates are signed: a comparison of 64 bits would never hold.
    const underlayAddress = toIpv4(0xc0a8_fffe);
    for (const subnet of ["10.1.1.0/24", "172.31.9.0/24", "192.168.255.0/24"]) {
      using world = new ProgramWorld(
        { underlayAddress, subnet: network(subnet) },
        [peer("198.51.100.0/24", "255.255.255.254")],
      );
      const destination = formatIpv4(toIpv4(network(subnet).address + 7));
      const run = world.run(
        "rx",
        arriving(inner({ source: "198.51.100.9", destination }), {
          source: "255.255.255.254",
          destination: formatIpv4(underlayAddress),
        }),
      );
      assertEquals(run.verdict, VERDICT.REDIRECT, subnet);
    }
  });

  Deno.test("counters grow on each run and never shrink", () => {
    using world = new ProgramWorld();
    const first = world.run("rx", arriving(inner())).counters;
    const second = world.run("rx", arriving(inner())).counters;
    assertEquals(first, second);
    assertNotEquals(first, {});
    assert(Object.values(first).every((growth) => growth > 0));
  });
});
