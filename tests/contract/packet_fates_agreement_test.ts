import { assert, assertEquals, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import { cidrSize, lastAddress } from "../../net/cidr.ts";
import { formatIpv4, type Ipv4, toIpv4 } from "../../net/ipv4.ts";
import { Agreement } from "../support/agreement.ts";
import { address, network, peer } from "../support/kernel_world.ts";
import { DIFFERENCES } from "../support/path_differences.ts";
import {
  ipv4Packet,
  somePayload,
  tcpPacket,
} from "../support/packet_builder.ts";
import { type Surroundings, surroundings } from "../support/packet_paths.ts";
import { cutPeer, UNDERLAY } from "../support/program_world.ts";
import {
  hostPackets,
  sealAt,
  underlayFrames,
} from "../support/random_frames.ts";
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
import { FUZZ_CASES } from "../support/fuzz_cases.ts";

const SENDER_CHECKS = ["strict", "count", "off"] as const;
const OUTER_AT = 14;
const INNER_AT = 42;
const UNKNOWN = "192.0.2.99";
const RUNS = Math.max(3_000, FUZZ_CASES);
/** Bytes of a byte's place that tell something on their own. */
const VALUES = [0, 1, 0x44, 0x45, 0x46, 0x60, 0x80, 0xff];

/** Addresses in, at the edges of, and beside the subnets that there are. */
function addressesAt({ subnet, peers }: Surroundings): Ipv4[] {
  return [subnet, ...peers.map(({ subnet }) => subnet)].flatMap((one) => {
    const last = lastAddress(one);
    return [
      ...[one.address - 1, one.address, one.address + 1],
      ...[last - 1, last, last + 1],
    ].map((value) => toIpv4(value >>> 0));
  });
}

const SENDERS = [
  ...Array(4).fill(HOLDERS.map(({ publicIp }) => publicIp)).flat(),
  ...[UNKNOWN, UNDERLAY.address, "127.0.0.1", "0.1.2.3", "224.0.0.1"]
    .map(address),
] as Ipv4[];

/** Where frames go most of the time, so that they do not all end early. */
function usually(likely: string, addresses: readonly Ipv4[]): Ipv4[] {
  return [...Array(addresses.length).fill(address(likely)), ...addresses];
}

function choice(around: Surroundings) {
  const addresses = addressesAt(around);
  return {
    senders: SENDERS,
    sources: usually("10.1.2.5", addresses),
    destinations: usually("10.1.1.7", addresses),
  };
}

/** Subnets of `prefixLength` bits side by side, and one inside another. */
function hostsOf(prefixLength: number): Surroundings {
  const all = network(`8.0.0.0/${prefixLength - 2}`);
  const size = 2 ** (32 - prefixLength);
  const subnetAt = (index: number, length = prefixLength) =>
    `${formatIpv4(toIpv4(all.address + index * size))}/${length}`;
  const inside = Math.min(prefixLength + 3, 32);
  return {
    network: all,
    subnet: network(subnetAt(0)),
    peers: [
      peer(subnetAt(1), "192.0.2.2"),
      peer(subnetAt(2), "192.0.2.3"),
      peer(subnetAt(1, inside), "192.0.2.4"),
    ],
    senderCheck: "strict",
  };
}

testInNamespace("both data paths agree", import.meta.url, () => {
  runSync("ip", ["link", "set", "lo", "address", UNDERLAY.mac]);

  Deno.test("about the table, where it has one outcome and where it has two", () => {
    for (const row of RECEIVED) {
      using both = new Agreement(surroundings(HOLDERS, row.senderCheck));
      both.receive(row.frame, row.name);
      const differs = typeof row.outcome !== "string";
      assertEquals(both.differed.size > 0, differs, row.name);
    }
    using both = new Agreement(surroundings(HOLDERS));
    for (const row of SENT) {
      both.differed.clear();
      both.send(row.packet, row.name);
      const differs = typeof row.outcome !== "string";
      assertEquals(both.differed.size > 0, differs, row.name);
    }
  });

  Deno.test("about which frames are left to the host, as the table says", () => {
    for (const row of RECEIVED) {
      using both = new Agreement(surroundings(HOLDERS, row.senderCheck));
      assertEquals(
        both.programs.leaves(row.frame),
        row.programs === "leave",
        row.name,
      );
    }
  });

  for (const senderCheck of SENDER_CHECKS) {
    Deno.test(`about every byte of the headers that comes changed, with the sender check ${senderCheck}`, () => {
      using both = new Agreement(surroundings(HOLDERS, senderCheck));
      const frames = [
        arriving(inner()),
        arriving(inner({ ipOptions: new Uint8Array(8).fill(1) })),
        arriving(inner(), { options: new Uint8Array(4).fill(1) }),
        arriving(inner(), { udpChecksum: "right" }),
      ];
      for (const [kind, frame] of frames.entries()) {
        for (let offset = 0; offset < INNER_AT + 28; offset++) {
          for (const value of [...VALUES, frame[offset]! ^ 1]) {
            for (
              const seals of [[], [OUTER_AT], [INNER_AT], [INNER_AT, OUTER_AT]]
            ) {
              const changed = frame.slice();
              changed[offset] = value;
              for (const at of seals) sealAt(changed, at);
              both.receive(changed, `${kind}: ${value} at ${offset}`);
            }
          }
        }
      }
    });
  }

  Deno.test("about datagrams of every length up to 80, whatever they say of it", () => {
    using both = new Agreement(surroundings(HOLDERS));
    const long = inner({ payload: somePayload(80) });
    for (let bytes = 0; bytes <= 80; bytes++) {
      for (const said of [bytes - 1, bytes, bytes + 1, 20, 0]) {
        for (const paddingBytes of [0, 1, 18]) {
          const packet = long.slice(0, bytes);
          if (bytes >= 4) new DataView(packet.buffer).setUint16(2, said);
          sealAt(packet, 0);
          both.receive(
            arriving(packet, {}, { paddingBytes }),
            `${bytes} bytes that say ${said}`,
          );
        }
      }
    }
    assertEquals([...both.seen.keys()].sort(), [
      "delivered",
      "rx.drop.badLength",
      "rx.drop.empty",
      "rx.drop.short",
    ]);
  });

  Deno.test("about headers of every length, right and wrong", () => {
    using both = new Agreement(surroundings(HOLDERS));
    for (let words = 0; words <= 15; words++) {
      for (const bytes of [20, 24, 40, 59, 60, 61, 300]) {
        for (let flipped = 0; flipped < words * 4; flipped++) {
          const packet = new Uint8Array(bytes);
          const good = ipv4Packet(
            {
              source: address("10.1.2.5"),
              destination: address("10.1.1.7"),
              ipOptions: somePayload(Math.max(words - 5, 0) * 4, 3),
            },
            17,
            somePayload(280),
          );
          packet.set(good.subarray(0, bytes));
          packet[0] = 0x40 | words;
          new DataView(packet.buffer).setUint16(2, bytes);
          sealAt(packet, 0);
          both.receive(arriving(packet), `${words} words of ${bytes} bytes`);
          if (flipped >= bytes) continue;
          packet[flipped]! ^= 0x10;
          both.receive(
            arriving(packet),
            `${words} words of ${bytes} bytes, ${flipped} flipped`,
          );
        }
      }
    }
    assert(both.seen.get("delivered")! > 100);
    assert(both.seen.get("rx.drop.badChecksum")! > 100);
  });

  Deno.test("about every protocol, inside and outside", () => {
    using both = new Agreement(surroundings(HOLDERS));
    for (let protocol = 0; protocol < 256; protocol++) {
      const packet = patched(inner(), 9, [protocol]);
      assertEquals(both.receive(arriving(packet)).outcome, "delivered");
      assertEquals(
        both.receive(arriving(inner(), { protocol })).outcome,
        protocol === 17 ? "delivered" : "left",
      );
      assertEquals(
        both.send(patched(outgoing(), 9, [protocol])).outcome,
        "sent",
      );
    }
  });

  for (let prefixLength = 8; prefixLength <= 30; prefixLength++) {
    Deno.test(`about subnets of ${prefixLength} bits, one of which lies in another`, () => {
      const around = hostsOf(prefixLength);
      using both = new Agreement(around);
      const addresses = addressesAt(around);
      const inSubnet = toIpv4(
        around.subnet.address + cidrSize(around.subnet) - 1,
      );
      const holders = around.peers.map(({ publicIp }) => publicIp);
      for (const one of addresses) {
        for (const sender of [...holders, address(UNKNOWN)]) {
          both.receive(
            arriving(
              inner({
                source: formatIpv4(one),
                destination: formatIpv4(inSubnet),
              }),
              { source: formatIpv4(sender) },
            ),
            `from ${formatIpv4(one)} of ${formatIpv4(sender)}`,
          );
        }
        both.receive(
          arriving(inner({
            source: formatIpv4(toIpv4(lastAddress(around.peers[0]!.subnet))),
            destination: formatIpv4(one),
          })),
          `to ${formatIpv4(one)}`,
        );
        both.send(outgoing({ destination: formatIpv4(one) }));
      }
      for (
        const outcome of [
          "delivered",
          "sent",
          "tx.drop.noPeer",
          "rx.drop.wrongSource",
          "rx.drop.unknownSender",
          "rx.drop.wrongDestination",
        ]
      ) assertNotEquals(both.seen.get(outcome), undefined, outcome);
    });
  }

  Deno.test("about random and mutated frames, and see every fate and every difference", () => {
    const seen = new Set<string>();
    const differed = new Set<string>();
    for (const senderCheck of SENDER_CHECKS) {
      const around = surroundings(HOLDERS, senderCheck);
      using both = new Agreement(around);
      // Nothing but the table has signals of earlier versions.
      const signals = RECEIVED.filter(({ outcome }) =>
        JSON.stringify(outcome).includes("rx.legacySignals")
      );
      for (const { frame, name } of signals) both.receive(frame, name);
      fc.assert(
        fc.property(underlayFrames(choice(around)), (frame) => {
          both.receive(frame);
        }),
        { numRuns: RUNS },
      );
      for (const outcome of both.seen.keys()) seen.add(outcome);
      for (const { what } of both.differed.keys()) differed.add(what);
    }
    assertEquals([...seen].sort(), [
      "delivered",
      "left",
      "rx.drop.badChecksum",
      "rx.drop.badHeader",
      "rx.drop.badLength",
      "rx.drop.empty",
      "rx.drop.notIpv4",
      "rx.drop.short",
      "rx.drop.unknownSender",
      "rx.drop.wrongDestination",
      "rx.drop.wrongSource",
      "rx.legacySignals",
    ]);
    assertEquals(
      [...differed].sort(),
      DIFFERENCES.map(({ what }) => what).sort(),
    );
  });

  for (const cutUdp of [false, true]) {
    Deno.test(`about random and mutated packets of the host, UDP ${cutUdp ? "cut" : "whole"}, peers of each kind`, () => {
      const [whole, cut, cutWithChecksum] = HOLDERS;
      const peers = [whole!, cutPeer(cut!), cutPeer(cutWithChecksum!, true)];
      const around = surroundings(peers);
      using both = new Agreement(around, { cutUdp });
      const addresses = addressesAt(around);
      fc.assert(
        fc.property(
          hostPackets({
            sources: addresses,
            destinations: usually("10.1.2.5", addresses),
          }),
          (packet) => {
            both.send(packet);
          },
        ),
        { numRuns: RUNS },
      );
      assertEquals([...both.seen.keys()].sort(), [
        "sent",
        "tx.drop.badHeader",
        "tx.drop.noPeer",
        "tx.drop.notIpv4",
      ]);
      assertEquals([...both.differed.keys()].map(({ what }) => what), [
        "the TTL is spent",
      ]);
    });
  }

  Deno.test("about every byte of a packet of the host that is changed", () => {
    using both = new Agreement(surroundings(HOLDERS));
    const packets = [
      outgoing(),
      outgoing({ ipOptions: new Uint8Array(8).fill(1) }),
      tcpPacket({
        source: address("10.1.1.7"),
        destination: address("10.1.2.5"),
        sourcePort: 1,
        destinationPort: 2,
        sequence: 3,
        payload: somePayload(9),
      }),
    ];
    for (const packet of packets) {
      for (let offset = 0; offset < packet.length; offset++) {
        for (const value of [...VALUES, packet[offset]! ^ 1]) {
          for (const seal of ["seal", "leave"] as const) {
            both.send(patched(packet, offset, [value], seal));
          }
        }
      }
    }
  });
});
