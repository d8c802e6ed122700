/**
 * What every {@linkcode PacketPort} does. Run on the kernel's and on the fake.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { ERRNO } from "../../linux/errno.ts";
import type { PacketPort } from "../../linux/packet_socket.ts";

/** An Ethernet device with an MTU of 1,500 bytes, and what leaves by it. */
export interface PacketPortWorld extends Disposable {
  readonly port: PacketPort;
  readonly up: number;
  readonly down: number;
  readonly absent: number;
  /** Frames that left by the device that is up; waits until there are `count`. */
  frames(count: number): Uint8Array[];
}

/** Registers the tests; `makeWorld` makes a new world for each. */
export function packetPortContract(
  implementation: string,
  makeWorld: () => PacketPortWorld,
): void {
  const test = (sentence: string, prove: (world: PacketPortWorld) => void) =>
    Deno.test(`${implementation} ${sentence}`, () => {
      using world = makeWorld();
      prove(world);
    });

  test("sends a frame as it is, of any EtherType", (world) => {
    const frames = [frame(60, 0x0800), frame(1514, 0x0800), frame(100, 0x86dd)];
    for (const one of frames) {
      assertEquals(world.port.sendFrame(world.up, one), one.length);
    }
    assertEquals(
      world.frames(3).map((one) => one.toHex()),
      frames.map((one) => one.toHex()),
    );
  });

  test("sends a part of a larger memory", (world) => {
    const memory = new Uint8Array(200);
    memory.set(frame(60, 0x0800), 70);
    assertEquals(
      world.port.sendFrame(world.up, memory.subarray(70, 130)),
      60,
    );
    assertEquals(world.frames(1).map((one) => one.toHex()), [
      frame(60, 0x0800).toHex(),
    ]);
  });

  test("says why a frame cannot leave", ({ port, up, down, absent, frames }) => {
    assertEquals(port.sendFrame(absent, frame(60, 0x0800)), -ERRNO.ENXIO);
    assertEquals(port.sendFrame(down, frame(60, 0x0800)), -ERRNO.ENETDOWN);
    assertEquals(port.sendFrame(up, frame(1515, 0x0800)), -ERRNO.EMSGSIZE);
    assertEquals(port.sendFrame(up, new Uint8Array(13)), -ERRNO.EINVAL);
    assertEquals(frames(0), []);
  });
}

/** A frame to everybody with a payload that counts. */
function frame(bytes: number, etherType: number): Uint8Array {
  const frame = Uint8Array.from({ length: bytes }, (_, at) => at & 255);
  frame.fill(0xff, 0, 6);
  frame.set([2, 0, 0, 0, 0, 7], 6);
  new DataView(frame.buffer).setUint16(12, etherType);
  return frame;
}
