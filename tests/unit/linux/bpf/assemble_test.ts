import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import { assemble, instructionAt } from "../../../../linux/bpf/assemble.ts";
import { describe } from "../../../../linux/bpf/describe.ts";
import { BadInstructionError } from "../../../../linux/bpf/errors.ts";
import {
  add,
  exit,
  goto,
  type Instruction,
  jumpIf,
  label,
  load,
  load64,
  loadMap,
  loadMapValue,
  mov,
  mov32,
  R0,
  R1,
  R2,
  R5,
  type Register,
  store,
} from "../../../../linux/bpf/instructions.ts";
import { withPlaces } from "../../../../linux/bpf/source_place.ts";
import { ENCODINGS } from "./encodings.ts";

function hex(
  program: readonly Instruction[],
  maps: Record<string, number> = {},
): string {
  return assemble(program, { maps }).toHex();
}

const jumpsToEnd = (instruction: Instruction) =>
  instruction.kind === "operation" && instruction.target === "end";

Deno.test("each instruction has the bytes that llvm-mc gives it", () => {
  for (const [instruction, text, expected] of ENCODINGS) {
    const program = jumpsToEnd(instruction)
      ? [instruction, exit(), label("end"), exit()]
      : [instruction];
    const bytes = hex(program);
    assertEquals(bytes.slice(0, expected.length), expected, text);
    const rest = jumpsToEnd(instruction) ? "9500000000000000".repeat(2) : "";
    assertEquals(bytes.slice(expected.length), rest, text);
  }
});

Deno.test("an instruction's text is what llvm-mc reads", () => {
  for (const [instruction, text] of ENCODINGS) {
    assertEquals(describe(instruction), text);
  }
});

Deno.test("a map becomes its descriptor, a map's value the descriptor and an offset", () => {
  const program = [loadMap(R1, "peers"), loadMapValue(R2, "counters", 0x18)];
  const maps = { peers: 5, counters: 0x0102 };
  assertEquals(
    hex(program, maps),
    // BPF_PSEUDO_MAP_FD is 1, BPF_PSEUDO_MAP_VALUE is 2.
    "1811000005000000" + "0000000000000000" +
      "1822000002010000" + "0000000018000000",
  );
});

Deno.test("a jump counts a 64-bit load as two", () => {
  const over = [goto("end"), load64(R0, 1n), label("end"), exit()];
  assertEquals(hex(over).slice(0, 16), "0500020000000000");
  const back = [label("start"), load64(R0, 1n), goto("start"), exit()];
  assertEquals(hex(back).slice(32, 48), "0500fdff00000000");
});

Deno.test("several labels may name one instruction, and many jumps one label", () => {
  const program = [
    jumpIf(R1, "==", 0, "drop"),
    goto("pass"),
    label("drop"),
    label("pass"),
    goto("drop"),
  ];
  assertEquals(
    hex(program),
    "1501010000000000" + "0500000000000000" + "0500ffff00000000",
  );
});

Deno.test("a jump may be 32767 instructions wide and no wider", () => {
  const program = (width: number) => [
    goto("end"),
    ...Array.from({ length: width }, exit),
    label("end"),
    exit(),
  ];
  assertEquals(hex(program(32767)).slice(0, 16), "0500ff7f00000000");
  const error = assertThrows(
    () => hex(program(32768)),
    BadInstructionError,
  );
  assertEquals(
    error.message,
    'Cannot assemble "goto end": a jump must be -32768 to 32767 instructions wide: current value is 32768',
  );
});

for (
  const [sentence, program, message] of [
    [
      "a label that is not there",
      [goto("nowhere"), exit()],
      'Cannot assemble "goto nowhere": the label must be in the program: current value is nowhere',
    ],
    [
      "a label that is there twice",
      [label("here"), exit(), label("here"), exit()],
      'Cannot assemble "here:": a label must be there once: current value is here',
    ],
    [
      "a label at the end",
      [exit(), label("end")],
      'Cannot assemble "end:": an instruction must follow a label: current value is end',
    ],
    [
      "a map that is not there",
      [loadMap(R1, "peers"), exit()],
      'Cannot assemble "r1 = map peers": the map must be one of counters, senders: current value is peers',
    ],
  ] as const
) {
  Deno.test(`${sentence} is refused`, () => {
    const error = assertThrows(
      () => hex(program, { counters: 3, senders: 4 }),
      BadInstructionError,
      message,
    );
    assertEquals(error.code, "bpf.instruction");
  });
}

Deno.test("a refusal names the line of the program when it was built with places", () => {
  const error = assertThrows(
    () => hex(withPlaces(() => [goto("nowhere"), exit()])),
    BadInstructionError,
  );
  assertMatch(
    error.message,
    /, at tests\/unit\/linux\/bpf\/assemble_test\.ts:\d+$/,
  );
});

Deno.test("the verifier's count of an instruction finds it", () => {
  const wide = load64(R1, 1n);
  const program = [label("a"), wide, label("b"), add(R1, 1), exit()];
  const texts = [0, 1, 2, 3].map((slot) => instructionAt(program, slot)!)
    .map(describe);
  assertEquals(texts, ["r1 = 0x1 ll", "r1 = 0x1 ll", "r1 += 1", "exit"]);
  assertEquals(instructionAt(program, 4), undefined);
});

/** The fields of a slot, read back without the assembler's help. */
function decode(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer);
  const registers = bytes[1]!;
  return {
    opcode: bytes[0]!,
    dst: registers & 15,
    src: registers >> 4,
    offset: view.getInt16(2, true),
    immediate: view.getInt32(4, true),
  };
}

Deno.test("what an instruction holds comes out of its bytes", () => {
  const anyRegister = fc.integer({ min: 0, max: 10 })
    .map((register): Register => ({ register }));
  const anyOffset = fc.integer({ min: -0x8000, max: 0x7fff });
  const anyNumber = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  const same = (instruction: Instruction, fields: Record<string, number>) => {
    const bytes = assemble([instruction]);
    assertEquals(decode(bytes), {
      dst: 0,
      src: 0,
      offset: 0,
      immediate: 0,
      opcode: bytes[0]!,
      ...fields,
    });
  };
  fc.assert(
    fc.property(
      anyRegister,
      anyRegister,
      anyOffset,
      anyNumber,
      (first, second, offset, number) => {
        const dst = first.register;
        const src = second.register;
        same(load("u16", first, second, offset), { dst, src, offset });
        same(store("u32", first, offset, second), { dst, src, offset });
        same(store("u32", first, offset, number), {
          dst,
          offset,
          immediate: number,
        });
        same(mov(first, number), { dst, immediate: number });
        same(mov32(R5, second), { dst: 5, src });
      },
    ),
  );
});
