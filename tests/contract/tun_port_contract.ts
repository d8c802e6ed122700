/**
 * What every {@linkcode TunPort} does. Run on the kernel's and on the one in
 * memory.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import * as layout from "../../backend/udp/tun/layout.ts";
import { ERRNO } from "../../linux/errno.ts";
import type { PacketMemory } from "../../linux/packet_memory.ts";
import type { TunPort } from "../../linux/tun.ts";
import { writeIovec } from "../support/gather.ts";
import { address } from "../support/kernel_world.ts";
import {
  pseudoHeaderSum,
  somePayload,
  udpPacket,
} from "../support/packet_builder.ts";
import {
  formatVnetHeader,
  GSO_UDP_L4,
  hasRightChecksums,
  parseVnetHeader,
  PLAIN,
  segment,
  type VnetHeader,
} from "../support/slow_packets.ts";

/** The host's address on the device, one behind it, and the port of both. */
export const HOST = address("10.1.1.0");
export const REMOTE = address("10.1.2.7");
export const HOST_PORT = 2_000;

/** A device that leads to 10.1.0.0/16, its MTU 1,472 bytes. */
export interface TunWorld extends Disposable {
  readonly memory: PacketMemory;
  readonly port: TunPort;
  /** The host sends a datagram from HOST to REMOTE. */
  hostSends(payload: Uint8Array): void;
  /** The payloads that have arrived at the host. */
  hostReceives(): Uint8Array[];
  deleteDevice(): void;
}

const IOVECS = layout.RX_IOV;
const DATA = layout.RX_BUFFER;

/** A datagram from REMOTE to HOST. */
export function fromRemote(payload: Uint8Array): Uint8Array {
  return udpPacket({
    source: REMOTE,
    destination: HOST,
    sourcePort: HOST_PORT,
    destinationPort: HOST_PORT,
    payload,
  });
}

/** What was read into a slot. */
export function packetIn(
  { memory }: TunWorld,
  slot: number,
  bytes: number,
): { vnet: VnetHeader; packet: Uint8Array } {
  const at = layout.TX_BUFFER + slot * layout.TX_SLOT_BYTES;
  const whole = memory.bytes.slice(at, at + bytes);
  return {
    vnet: parseVnetHeader(whole),
    packet: whole.slice(layout.VNET_HEADER_BYTES),
  };
}

/** Writes a packet in two pieces behind its header. */
export function write(
  { memory, port }: TunWorld,
  packet: Uint8Array,
  vnet: VnetHeader = PLAIN,
): number {
  const header = formatVnetHeader(vnet);
  memory.bytes.set(header, DATA);
  memory.bytes.set(packet, DATA + header.length);
  const middle = Math.min(28, packet.length);
  const at = DATA + header.length;
  writeIovec(memory, IOVECS, DATA, header.length);
  writeIovec(memory, IOVECS + 16, at, middle);
  writeIovec(memory, IOVECS + 32, at + middle, packet.length - middle);
  return port.write(IOVECS, 3);
}

/** Registers the tests; `makeWorld` makes a new world for each. */
export function tunPortContract(
  implementation: string,
  makeWorld: () => TunWorld,
): void {
  const test = (sentence: string, prove: (world: TunWorld) => void) =>
    Deno.test(`${implementation} ${sentence}`, () => {
      using world = makeWorld();
      prove(world);
    });
  const hex = (payloads: readonly Uint8Array[]) =>
    payloads.map((one) => one.toHex());

  test("reads nothing when nothing is there", ({ port }) => {
    assertEquals(port.read(0), -ERRNO.EAGAIN);
  });

  test("reads what the host sends, one packet a call, into the slot of that number", (world) => {
    const payloads = [somePayload(5), somePayload(1_444, 1)];
    for (const payload of payloads) world.hostSends(payload);
    for (const [index, payload] of payloads.entries()) {
      const slot = 3 + index * 40;
      const bytes = world.port.read(slot);
      assertEquals(bytes, 10 + 28 + payload.length);
      const { vnet, packet } = packetIn(world, slot, bytes);
      const [whole] = segment(vnet, packet);
      assertEquals(hasRightChecksums(whole!), true);
      assertEquals(whole!.slice(12, 20).toHex(), "0a0101000a010207");
      assertEquals(whole!.slice(28), payload);
    }
    assertEquals(world.port.read(0), -ERRNO.EAGAIN);
  });

  test("delivers written packets to the host", (world) => {
    const payloads = [somePayload(5), somePayload(1_444, 1)];
    for (const payload of payloads) {
      assertEquals(write(world, fromRemote(payload)), 38 + payload.length);
    }
    assertEquals(hex(world.hostReceives()), hex(payloads));
  });

  test("delivers the datagrams of a super-packet", (world) => {
    const payload = somePayload(2_500);
    const packet = fromRemote(payload);
    // The pseudo header's sum, as segmentation expects.
    packet.set(pseudoHeader(packet), 26);
    const written = write(world, packet, {
      needsChecksum: true,
      gsoType: GSO_UDP_L4,
      headerBytes: 28,
      gsoBytes: 1_000,
      checksumStart: 20,
      checksumOffset: 6,
    });
    assertEquals(written, 10 + packet.length);
    assertEquals(
      hex(world.hostReceives()),
      hex([
        payload.slice(0, 1_000),
        payload.slice(1_000, 2_000),
        payload.slice(2_000),
      ]),
    );
  });

  test("refuses data that is not an IP packet", (world) => {
    assertEquals(write(world, new Uint8Array(40)), -ERRNO.EINVAL);
    assertEquals(world.hostReceives(), []);
  });

  test("refuses less than a virtio_net_hdr", ({ memory, port }) => {
    writeIovec(memory, IOVECS, DATA, 9);
    assertEquals(port.write(IOVECS, 1), -ERRNO.EINVAL);
  });

  test("says that its device is gone, in both directions", (world) => {
    world.deleteDevice();
    assertEquals(world.port.read(0), -ERRNO.EBADFD);
    assertEquals(write(world, fromRemote(somePayload(5))), -ERRNO.EBADFD);
  });
}

function pseudoHeader(packet: Uint8Array): Uint8Array {
  const sum = pseudoHeaderSum(packet, packet.length - 20);
  return Uint8Array.of(sum >> 8, sum & 255);
}
