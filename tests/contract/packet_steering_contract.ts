/**
 * What every {@linkcode PacketSteering} does. Run on the kernel's and on the fake.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type PacketSteering,
  type SteeredDevice,
  SteeringError,
} from "../../linux/packet_steering.ts";

/** A veth as the kernel makes it. */
export interface SteeringWorld extends Disposable {
  readonly steering: PacketSteering;
  readonly veth: SteeredDevice;
}

/** Registers the tests; `makeWorld` makes a new world for each. */
export function packetSteeringContract(
  implementation: string,
  makeWorld: () => SteeringWorld,
): void {
  const test = (sentence: string, prove: (world: SteeringWorld) => void) =>
    Deno.test(`${implementation} ${sentence}`, () => {
      using world = makeWorld();
      prove(world);
    });

  test("leaves packets where they come, at first", ({ steering, veth }) => {
    assertEquals(steering.cpus(veth), 0n);
  });

  test("shares them among processors, and no more", ({ steering, veth }) => {
    const { allCpus } = steering;
    assert(allCpus > 0n);
    for (const cpus of [1n, allCpus, 0n]) {
      steering.setCpus(veth, cpus);
      assertEquals(steering.cpus(veth), cpus);
    }
  });

  test("refuses a device that is not there", ({ steering, veth }) => {
    const missing = { ...veth, name: "veth9" };
    assertThrows(() => steering.cpus(missing), SteeringError, "veth9");
    assertThrows(() => steering.setCpus(missing, 1n), SteeringError, "veth9");
  });

  test("refuses another device of that name", ({ steering, veth }) => {
    const other = { ...veth, index: veth.index + 1_000 };
    assertThrows(() => steering.cpus(other), SteeringError, veth.name);
    assertThrows(() => steering.setCpus(other, 1n), SteeringError, veth.name);
    assertEquals(steering.cpus(veth), 0n);
  });
}
