import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import {
  networkHalf,
  VERDICT,
  XDP,
  XDP_VERDICT,
} from "../../backend/udp/ebpf/programs/layout.ts";
import {
  add,
  call,
  exit,
  jumpIf,
  label,
  load,
  mov,
  R0,
  R1,
  R2,
  R3,
  R6,
  store,
} from "../../linux/bpf/instructions.ts";
import { KernelBpf } from "../../linux/bpf/kernel_bpf.ts";
import { ERRNO } from "../../linux/errno.ts";
import { addressOf, checked, libc } from "../../linux/libc.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { KernelPacketPort } from "../../linux/packet_socket.ts";
import { untilOperUp } from "../support/oper_up.ts";
import { somePayload } from "../support/packet_builder.ts";
import { overlayFrame, unpadded } from "../support/packet_paths.ts";
import {
  DEVICE_MAC,
  growth,
  macBytes,
  PROGRAM_HOST,
  type ProgramPeer,
  ProgramWorld,
  UNDERLAY,
} from "../support/program_world.ts";
import { testInNamespace } from "./in_namespace.ts";
import {
  arriving,
  HOLDERS,
  inner,
  outgoing,
  RECEIVED,
  type ReceivedRow,
} from "./packet_fates_contract.ts";

const AF_PACKET = 17;
const SOCK_RAW = 3;
const VLAN_ETHERTYPE = 0x8100;
const SOCK_NONBLOCK = 0x800;
/** ETH_P_ALL in network byte order. */
const EVERYTHING = 0x0300;
const FRAME_BYTES = 65_536;
const PATIENCE_ROUNDS = 2_000;
const OUTER_BYTES = 28;
const TAG_BYTES = 4;
const WIRE_MAC = "02:4c:6f:00:00:09";
const OTHER_END_MAC = "02:4c:6f:00:00:0a";
/** What an outer packet can carry, RFC 791 and RFC 768. */
const MOST_BYTES = 65_507;
/** Comes last, and is delivered for certain. */
const LAST = inner({ payload: somePayload(11, 99), sourcePort: 65_000 });
const LAST_IS_COUNTED = { "rx.packets": 1, "rx.bytes": LAST.length };

type Mode = "xdp" | "merge" | "direct";

/** An underlay device with its wire, and the overlay's pair, all with programs. */
class WireWorld implements Disposable {
  readonly programs: ProgramWorld;
  readonly #rtnetlink = new KernelRtnetlink();
  readonly #port = new KernelPacketPort();
  readonly #bpf = new KernelBpf();
  readonly #stack = new DisposableStack();
  readonly #wire: number;
  readonly #device: number;
  readonly #devices: number[];
  readonly #listener: number;
  readonly #buffer = new Uint8Array(FRAME_BYTES);

  constructor(
    mode: Mode,
    peers: readonly ProgramPeer[] = HOLDERS,
    senderCheck: ReceivedRow["senderCheck"] = "strict",
  ) {
    const pair = (name: string, mac: string, peerMac: string, mtu: number) =>
      this.#rtnetlink.createVethPair({
        name,
        peerName: `${name}p`,
        mac: macBytes(mac),
        peerMac: macBytes(peerMac),
        mtuBytes: mtu,
        peerMtuBytes: mtu,
      });
    const underlay = pair("under0", UNDERLAY.mac, WIRE_MAC, 3_000);
    const overlay = pair("over0", DEVICE_MAC, OTHER_END_MAC, 65_535);
    this.#devices = [underlay.link.index, overlay.link.index];
    this.#wire = underlay.peer.index;
    this.#device = overlay.link.index;
    const all = [underlay, overlay].flatMap(({ link, peer }) => [
      link.index,
      peer.index,
    ]);
    for (const index of all) this.#rtnetlink.changeLink(index, { up: true });
    untilOperUp(this.#rtnetlink, all);
    this.programs = new ProgramWorld(
      {
        senderCheck,
        checksInterface: false,
        device: {
          ...PROGRAM_HOST.device,
          interfaceIndex: overlay.link.index,
        },
        hop: {
          interfaceIndex: overlay.peer.index,
          mac: macBytes(OTHER_END_MAC),
        },
      },
      peers,
      mode === "merge" ? "merge" : "direct",
    );
    this.programs.attach("rx", underlay.link.index);
    this.programs.attach("tx", overlay.link.index);
    this.programs.attach("hop", overlay.peer.index);
    if (mode === "xdp") this.programs.attach("xdp", underlay.link.index);
    this.#listener = listenAt(overlay.link.index);
  }

  /** Lets a program of others write 4 bytes of its own in front of each frame. */
  attachStranger(): void {
    const program = this.#stack.use(this.#bpf.loadProgram({
      name: "stranger",
      type: "xdp",
      build: () => [
        mov(R6, R1),
        mov(R2, -4),
        call("xdp_adjust_meta"),
        load("u32", R1, R6, XDP.DATA_META),
        load("u32", R2, R6, XDP.DATA),
        mov(R3, R1),
        add(R3, 4),
        jumpIf(R3, ">", R2, "no room"),
        store("u32", R1, 0, PROGRAM_HOST.mark + 1),
        label("no room"),
        mov(R0, XDP_VERDICT.PASS),
        exit(),
      ],
    }));
    this.#bpf.setXdp(this.#devices[0]!, program);
  }

  /** The network gives frames a VLAN's tag, beside the frame as hardware does. */
  tag(vlan: number): void {
    const program = this.#stack.use(this.#bpf.loadProgram({
      name: "tagger",
      type: "schedCls",
      build: () => [
        mov(R2, networkHalf(VLAN_ETHERTYPE)),
        mov(R3, vlan),
        call("skb_vlan_push"),
        mov(R0, VERDICT.PASS),
        exit(),
      ],
    }));
    this.#bpf.attach(this.#wire, "egress", program);
  }

  /** From the network. */
  arrive(frame: Uint8Array): void {
    assertEquals(this.#port.sendFrame(this.#wire, frame), frame.length);
  }

  /** From the host, which hears of a packet that a program drops. */
  send(frame: Uint8Array): void {
    const sent = this.#port.sendFrame(this.#device, frame);
    if (sent !== -ERRNO.ENOBUFS) assertEquals(sent, frame.length);
  }

  /** The packets that have come in at the overlay device since the last look. */
  delivered(): string[] {
    const packets: string[] = [];
    for (;;) {
      const bytes = libc().recv(
        this.#listener,
        addressOf(this.#buffer),
        FRAME_BYTES,
        0,
      );
      if (bytes < 0) return packets;
      const frame = this.#buffer.slice(0, bytes);
      assertEquals(frame.slice(0, 6), macBytes(DEVICE_MAC));
      packets.push(unpadded(frame).toHex());
    }
  }

  [Symbol.dispose](): void {
    libc().close(this.#listener);
    for (const index of this.#devices) this.#rtnetlink.deleteLink(index);
    this.#stack[Symbol.dispose]();
    this.#bpf[Symbol.dispose]();
    this.#port[Symbol.dispose]();
    this.#rtnetlink[Symbol.dispose]();
    this.programs[Symbol.dispose]();
  }
}

/** A socket that gets what comes in and goes out there. */
function listenAt(interfaceIndex: number): number {
  const descriptor = checked(
    libc().socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0),
    "create a packet socket",
  );
  const name = new DataView(new ArrayBuffer(20));
  name.setUint16(0, AF_PACKET, true);
  name.setUint16(2, EVERYTHING, true);
  name.setInt32(4, interfaceIndex, true);
  checked(libc().bind(descriptor, addressOf(name), 20), "listen");
  return descriptor;
}

async function eventually(what: string, isSo: () => boolean): Promise<void> {
  for (let round = 0; round < PATIENCE_ROUNDS; round++) {
    if (isSo()) return;
    await delay(1);
  }
  throw new Error(`not seen: ${what}`);
}

/** What the programs alone say of a row, without the agent's socket. */
function byPrograms({ onWire, outcome, programs }: ReceivedRow): string {
  if (onWire !== undefined) return onWire;
  if (programs === "leave") return "left";
  return typeof outcome === "string" ? outcome : outcome.programs;
}

testInNamespace("over a real wire", import.meta.url, () => {
  for (const mode of ["xdp", "merge", "direct"] as const) {
    for (const senderCheck of ["strict", "count", "off"] as const) {
      Deno.test(`the table's frames have their fates in the mode ${mode}, with the sender check ${senderCheck}`, async () => {
        using world = new WireWorld(mode, HOLDERS, senderCheck);
        const rows = RECEIVED.filter((row) =>
          (row.senderCheck ?? "strict") === senderCheck
        );
        assert(rows.length > 1);
        for (const row of rows) {
          const outcome = byPrograms(row);
          // Behind the outer headers.
          const packet = outcome === "delivered"
            ? unpadded(row.frame.slice(
              OUTER_BYTES + (row.onWire === undefined ? 0 : TAG_BYTES),
            ))
            : undefined;
          const expected = packet !== undefined
            ? { "rx.packets": 2, "rx.bytes": LAST.length + packet.length }
            : outcome === "left"
            ? LAST_IS_COUNTED
            : { ...LAST_IS_COUNTED, [outcome]: 1 };
          const before = world.programs.counters();
          const seen: string[] = [];
          world.arrive(row.frame);
          world.arrive(arriving(LAST));
          const wanted = packet === undefined ? 1 : 2;
          await eventually(`the last packet after ${row.name}`, () => {
            seen.push(...world.delivered());
            return seen.length >= wanted && seen.includes(LAST.toHex());
          });
          const counters = growth(before, world.programs.counters());
          const { "rx.senderMismatchPassed": passed } = row.counters ?? {};
          assertEquals(
            counters,
            passed === undefined
              ? expected
              : { ...expected, "rx.senderMismatchPassed": passed },
            row.name,
          );
          assertEquals(
            seen.toSorted(),
            [LAST.toHex(), ...(packet === undefined ? [] : [packet.toHex()])]
              .toSorted(),
            row.name,
          );
        }
      });
    }
  }

  Deno.test("a frame of another VLAN is not taken in the mode xdp, where the tag is not in the frame", async () => {
    using world = new WireWorld("xdp");
    const read = () => world.programs.counters();
    world.arrive(arriving(LAST));
    await eventually("a packet", () => world.delivered().length === 1);
    world.tag(5);
    world.arrive(arriving(inner()));
    await eventually("the tag", () => read()["rx.drop.vlanTag"] === 1);
    assertEquals(world.delivered(), []);
  });

  Deno.test("what another program says in front of a frame is no mark", async () => {
    using world = new WireWorld("direct");
    world.attachStranger();
    const before = world.programs.counters();
    const seen: string[] = [];
    // Taken for stripped it would be neither checked nor counted.
    world.arrive(arriving(inner(), { source: "192.0.2.99" }));
    world.arrive(arriving(LAST));
    await eventually("the last packet", () => {
      seen.push(...world.delivered());
      return seen.includes(LAST.toHex());
    });
    assertEquals(seen, [LAST.toHex()]);
    assertEquals(growth(before, world.programs.counters()), {
      ...LAST_IS_COUNTED,
      "rx.drop.unknownSender": 1,
    });
  });

  Deno.test("outgoing packets shorter than a header are dropped", async () => {
    using world = new WireWorld("direct");
    for (let bytes = 0; bytes < 20; bytes++) {
      const before = world.programs.counters();
      world.send(overlayFrame(outgoing().slice(0, bytes)));
      const counted = () => growth(before, world.programs.counters());
      await eventually(
        `a packet of ${bytes} bytes`,
        () => Object.keys(counted()).length > 0,
      );
      assertEquals(counted(), { "tx.drop.short": 1 }, `${bytes}`);
    }
  });

  for (
    const [bytes, expected] of [
      // One buffer cannot grow to it: only what can be cut is that long.
      [MOST_BYTES, { "tx.drop.noRoom": 1 }],
      [MOST_BYTES + 1, { "tx.cut": 1, "tx.drop.noRoom": 1 }],
    ] as const
  ) {
    Deno.test(`a packet of ${bytes} bytes counts as ${Object.keys(expected)}`, async () => {
      using world = new WireWorld("direct");
      const packet = outgoing({ payload: somePayload(bytes - 28) });
      const before = world.programs.counters();
      world.send(overlayFrame(packet));
      const counted = () => growth(before, world.programs.counters());
      await eventually(
        "the packet",
        () => counted()["tx.drop.noRoom"] !== undefined,
      );
      assertEquals(counted(), expected);
    });
  }
});
