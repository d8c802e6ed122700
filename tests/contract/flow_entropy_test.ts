import { assert, assertEquals, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import { VERDICT } from "../../backend/udp/ebpf/programs/layout.ts";
import { internetChecksum } from "../../net/checksum.ts";
import { formatIpv4 } from "../../net/ipv4.ts";
import { address } from "../support/kernel_world.ts";
import {
  ethernetFrame,
  fragmentationNeeded,
  outerPacket,
} from "../support/outer_packet.ts";
import {
  DF,
  ipv4Packet,
  MF,
  PROTOCOLS,
  somePayload,
  tcpPacket,
} from "../support/packet_builder.ts";
import { overlayFrame } from "../support/packet_paths.ts";
import { cutPeer, ProgramWorld, UNDERLAY } from "../support/program_world.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";
import { HOLDERS, outgoing } from "./packet_fates_contract.ts";

const ETHERNET_BYTES = 14;
const SOURCE_PORT_AT = ETHERNET_BYTES + 20;
const [FIRST_PORT, LAST_PORT] = [49_152, 65_535];
const HOLDER = HOLDERS[0]!;
const NO_OPERATIONS = new Uint8Array(4).fill(1);

interface Flow {
  readonly protocol?: "tcp" | "udp";
  readonly source?: string;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly fragment?: number;
  readonly bytes?: number;
  readonly ipOptions?: Uint8Array;
}

function packetOf(flow: Flow = {}): Uint8Array {
  const { protocol = "udp", source = "10.1.1.7", bytes = 40 } = flow;
  const { sourcePort = 1000, destinationPort = 2000 } = flow;
  const payload = somePayload(bytes);
  const fields = {
    sourcePort,
    destinationPort,
    payload,
    fragment: flow.fragment ?? DF,
    ...(flow.ipOptions && { ipOptions: flow.ipOptions }),
  };
  return protocol === "udp" ? outgoing({ source, ...fields }) : tcpPacket({
    ...fields,
    source: address(source),
    destination: address("10.1.2.5"),
    sequence: 1,
  });
}

testInNamespace("a source port per flow", import.meta.url, () => {
  runSync("ip", ["link", "set", "lo", "address", UNDERLAY.mac]);

  const world = new ProgramWorld({ sourcePort: "hash" }, [HOLDER]);

  function portOf(packet: Uint8Array, role: "tx" | "hop" = "tx"): number {
    const run = world.run(role, overlayFrame(packet));
    assertEquals(run.verdict, VERDICT.REDIRECT);
    return new DataView(run.frame.buffer).getUint16(SOURCE_PORT_AT);
  }

  Deno.test("the port lies from 49152 to 65535, whatever the packet", () => {
    fc.assert(
      fc.property(
        fc.record({
          protocol: fc.constantFrom("tcp" as const, "udp" as const),
          source: fc.nat(0xffff_ffff).map((each) => formatIpv4(each as never)),
          sourcePort: fc.nat(65_535),
          destinationPort: fc.nat(65_535),
        }),
        (flow) => {
          const port = portOf(packetOf(flow));
          assert(port >= FIRST_PORT && port <= LAST_PORT, `${port}`);
        },
      ),
      { numRuns: 500 },
    );
  });

  Deno.test("apart from the port the outer headers are flannel's", () => {
    for (const role of ["tx", "hop"] as const) {
      const packet = packetOf({ protocol: "tcp" });
      const run = world.run(role, overlayFrame(packet));
      assertEquals(
        run.frame.slice(ETHERNET_BYTES).toHex(),
        outerPacket({
          source: UNDERLAY.address,
          destination: formatIpv4(HOLDER.publicIp),
          sourcePort: portOf(packet, role),
          port: UNDERLAY.port,
          payload: packet,
        }).toHex(),
      );
    }
  });

  Deno.test("peers in user space and flannel hosts get the network's port, with a right checksum where there is one", () => {
    for (const withChecksum of [true, false]) {
      using mixed = new ProgramWorld({ sourcePort: "hash" }, [
        cutPeer(HOLDER, withChecksum),
      ]);
      const packet = packetOf({ protocol: "tcp" });
      assertEquals(
        mixed.run("hop", overlayFrame(packet)).frame.slice(ETHERNET_BYTES)
          .toHex(),
        outerPacket({
          source: UNDERLAY.address,
          destination: formatIpv4(HOLDER.publicIp),
          port: UNDERLAY.port,
          payload: packet,
          udpChecksum: withChecksum ? "right" : "none",
        }).toHex(),
      );
    }
  });

  Deno.test("a flow has one port: in every packet, and cut or not", () => {
    for (const protocol of ["tcp", "udp"] as const) {
      const ports = [0, 1, 40, 1_400].flatMap((bytes) =>
        (["tx", "hop"] as const).map((role) =>
          portOf(packetOf({ protocol, bytes }), role)
        )
      );
      assertEquals(new Set(ports).size, 1);
    }
  });

  Deno.test("fragments of a flow have one port, whether they have ports or not", () => {
    const fragments = [
      { fragment: MF },
      { fragment: MF | 185 },
      { fragment: 370 },
      { fragment: MF, sourcePort: 7 },
    ];
    const ports = fragments.flatMap((flow) =>
      (["tx", "hop"] as const).map((role) => portOf(packetOf(flow), role))
    );
    assertEquals(new Set(ports).size, 1);
  });

  Deno.test("packets of other protocols, with options or too short for ports go by their addresses", () => {
    const [source, destination] = [address("10.1.1.7"), address("10.1.2.5")];
    const of = (protocol: number, bytes: number, seed: number) =>
      portOf(
        ipv4Packet({ source, destination }, protocol, somePayload(bytes, seed)),
      );
    const byAddresses = of(PROTOCOLS.icmp, 8, 1);
    assertEquals(of(PROTOCOLS.icmp, 64, 2), byAddresses);
    assertEquals(of(50, 40, 3), byAddresses);
    assertEquals(of(PROTOCOLS.udp, 3, 4), byAddresses);
    for (const sourcePort of [1, 2]) {
      assertEquals(
        portOf(packetOf({ sourcePort, ipOptions: NO_OPERATIONS })),
        byAddresses,
      );
    }
    assertNotEquals(
      portOf(
        ipv4Packet(
          { source: address("10.1.1.8"), destination },
          PROTOCOLS.icmp,
          somePayload(8),
        ),
      ),
      byAddresses,
    );
  });

  Deno.test("flows that differ little are spread evenly", () => {
    const spreads: Record<string, (index: number) => Flow> = {
      "source ports": (index) => ({ sourcePort: 32_768 + index }),
      "destination ports": (index) => ({ destinationPort: 5_000 + index }),
      "sources": (index) => ({
        source: `10.1.1.${index % 256}`,
        sourcePort: 1_000 + (index >> 8),
      }),
    };
    for (const [what, flowOf] of Object.entries(spreads)) {
      const queues = new Array<number>(16).fill(0);
      for (let index = 0; index < 1_024; index++) {
        queues[portOf(packetOf(flowOf(index))) % 16]!++;
      }
      // 64 each; less than half of it or twice it would be no accident.
      for (const flows of queues) {
        assert(flows > 32 && flows < 128, `${what}: ${queues}`);
      }
    }
  });

  const OWN: string = UNDERLAY.address;
  const PEER = "192.0.2.2";
  const about = { source: OWN, destination: PEER, port: UNDERLAY.port };
  const error = (
    fields: Partial<Parameters<typeof fragmentationNeeded>[0]["about"]>,
    to = OWN,
  ) =>
    ethernetFrame(
      fragmentationNeeded({
        from: "198.51.100.1",
        to,
        about: { ...about, ...fields },
        mtuBytes: 1_400,
      }),
      { sourceMac: "02:4c:6f:00:00:09", destinationMac: UNDERLAY.mac },
    );

  Deno.test("an ICMP error that quotes any port of the range reaches the host with the network's port", () => {
    for (const sourcePort of [FIRST_PORT, 55_555, LAST_PORT]) {
      const run = world.run("rx", error({ sourcePort }));
      assertEquals(run.verdict, VERDICT.NEXT);
      assertEquals(run.counters, {});
      assertEquals(run.frame.toHex(), error({}).toHex());
      const message = run.frame.subarray(ETHERNET_BYTES + 20);
      assertEquals(internetChecksum(message), 0);
    }
  });

  Deno.test("a broken ICMP error stays broken", () => {
    const broken = error({ sourcePort: 50_000 });
    broken[ETHERNET_BYTES + 22]! ^= 0x55;
    const { frame } = world.run("rx", broken);
    assertNotEquals(
      internetChecksum(frame.subarray(ETHERNET_BYTES + 20)),
      0,
    );
  });

  Deno.test("other ICMP messages are left as they are", () => {
    const others = [
      error({ sourcePort: FIRST_PORT - 1 }),
      error({ sourcePort: 4096 }),
      error({ sourcePort: 50_000, port: 53 }),
      error({ sourcePort: 50_000, source: "192.0.2.77" }),
      error({ sourcePort: 50_000, protocol: PROTOCOLS.tcp }),
      error({ sourcePort: 50_000 }, "192.0.2.77"),
      error({ sourcePort: 50_000 }).slice(0, -1),
      // An echo request.
      Object.assign(error({ sourcePort: 50_000 }), {
        [ETHERNET_BYTES + 20]: 8,
      }),
    ];
    for (const frame of others) {
      const run = world.run("rx", frame);
      assertEquals(run.verdict, VERDICT.NEXT);
      assertEquals(run.frame.toHex(), frame.toHex());
    }
  });

  Deno.test("with a fixed port nothing is rewritten", () => {
    using fixed = new ProgramWorld({ sourcePort: "fixed" }, [HOLDER]);
    const frame = error({ sourcePort: 50_000 });
    assertEquals(fixed.run("rx", frame).frame.toHex(), frame.toHex());
    const run = fixed.run("tx", overlayFrame(packetOf()));
    const view = new DataView(run.frame.buffer);
    assertEquals(view.getUint16(SOURCE_PORT_AT), UNDERLAY.port);
  });
});
