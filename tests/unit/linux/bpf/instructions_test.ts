import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { BadInstructionError } from "../../../../linux/bpf/errors.ts";
import type { HelperName } from "../../../../linux/bpf/helpers.ts";
import {
  add,
  atomicAdd,
  call,
  div,
  exit,
  jumpIf,
  load,
  load64,
  loadMapValue,
  lsh,
  mod,
  mov,
  mov32,
  R0,
  R1,
  store,
} from "../../../../linux/bpf/instructions.ts";
import { withPlaces } from "../../../../linux/bpf/source_place.ts";

const REFUSED: readonly [sentence: string, () => unknown, message: string][] = [
  [
    "a number that 32 bits and a sign do not hold",
    () => mov(R0, 0x8000_0000),
    "mov: the number must be an integer of -2147483648 to 2147483647: current value is 2147483648",
  ],
  [
    "a number that 32 bits do not hold",
    () => mov32(R0, 2 ** 32),
    "mov32: the number must be an integer of -2147483648 to 4294967295: current value is 4294967296",
  ],
  [
    "a fraction",
    () => add(R0, 0.5),
    "add: the number must be an integer of -2147483648 to 2147483647: current value is 0.5",
  ],
  [
    "no number",
    () => add(R0, NaN),
    "add: the number must be an integer of -2147483648 to 2147483647: current value is NaN",
  ],
  [
    "an offset of more than 16 bits",
    () => load("u8", R0, R1, 0x8000),
    "load u8: the offset must be an integer of -32768 to 32767: current value is 32768",
  ],
  [
    "an offset of more than 16 bits",
    () => store("u8", R1, -0x8001, R0),
    "store u8: the offset must be an integer of -32768 to 32767: current value is -32769",
  ],
  [
    "an offset of more than 16 bits",
    () => atomicAdd("u64", R1, 0x8000, R0),
    "atomic add u64: the offset must be an integer of -32768 to 32767: current value is 32768",
  ],
  [
    "a byte of more than 8 bits",
    () => store("u8", R1, 0, 256),
    "store u8: the number must be an integer of -128 to 255: current value is 256",
  ],
  [
    "a u64 whose sign would be repeated",
    () => store("u64", R1, 0, 0xffff_ffff),
    "store u64: the number must be an integer of -2147483648 to 2147483647: current value is 4294967295",
  ],
  [
    "a comparison with a number whose sign would be repeated",
    () => jumpIf(R1, "==", 0xffff_ffff, "end"),
    "jump if ==: the number must be an integer of -2147483648 to 2147483647: current value is 4294967295",
  ],
  [
    "a shift by all 64 bits",
    () => lsh(R0, 64),
    "lsh: the shift must be an integer of 0 to 63: current value is 64",
  ],
  [
    "a division by 0",
    () => div(R0, 0),
    "div: the divisor must not be 0: current value is 0",
  ],
  [
    "a remainder by 0",
    () => mod(R0, 0),
    "mod: the divisor must not be 0: current value is 0",
  ],
  [
    "more than 64 bits",
    () => load64(R0, 1n << 64n),
    "load64: the number must have 64 bits or less: current value is 18446744073709551616",
  ],
  [
    "an offset in front of a map's value",
    () => loadMapValue(R0, "counters", -1),
    "load map value: the offset must be an integer of 0 to 2147483647: current value is -1",
  ],
  [
    "a helper that is not known",
    () => call("drop_all" as HelperName),
    "a call: the helper must be one of linux/bpf/helpers.ts: current value is drop_all",
  ],
  [
    "a helper by a name that every object has",
    () => call("toString" as HelperName),
    "a call: the helper must be one of linux/bpf/helpers.ts: current value is toString",
  ],
];

for (const [sentence, write, message] of REFUSED) {
  Deno.test(`${sentence} is refused, with the line of the program: ${message}`, () => {
    const error = assertThrows(write, BadInstructionError);
    const [said, place] = error.message.split(", at ");
    assertEquals(said, `Cannot assemble ${message}`);
    assertMatch(place!, /^tests\/unit\/linux\/bpf\/instructions_test\.ts:\d+$/);
  });
}

Deno.test("instructions know their lines only while they are asked to", () => {
  assertEquals(exit().place, undefined);
  const inside = withPlaces(() => [exit(), mov(R0, 1)]);
  for (const instruction of inside) {
    assertMatch(instruction.place!, /instructions_test\.ts:\d+$/);
  }
  assertEquals(exit().place, undefined);
});

Deno.test("instructions that failed to be made leave no wish for lines behind", () => {
  assertThrows(() => withPlaces(() => mov(R0, 0.5)), BadInstructionError);
  assertEquals(exit().place, undefined);
});
