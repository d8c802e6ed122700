/**
 * Assembles instructions into bytes for the kernel.
 *
 * Each instruction is 8 bytes: opcode, two registers of 4 bits, a 16-bit offset
 * and a 32-bit number. On machines with the other byte order (`linux/arch.ts`) the
 * halves of the second byte change places, too. Source: RFC 9669, section 3.
 *
 * @module
 */

import { describe } from "./describe.ts";
import { BadInstructionError } from "./errors.ts";
import { type Instruction, LOAD_64, type Operation } from "./instructions.ts";

/** Bytes of one slot. */
export const SLOT_BYTES = 8;

/** The values of a program's symbols. */
export interface AssembleOptions {
  /** Descriptors of the maps, by the names that the program gives them. */
  readonly maps?: Readonly<Record<string, number>>;
}

/** How many slots an instruction takes: a label none, a 64-bit load two. */
function slotsOf(instruction: Instruction): number {
  if (instruction.kind === "label") return 0;
  return instruction.opcode === LOAD_64 ? 2 : 1;
}

/**
 * The program's bytes.
 *
 * Throws {@linkcode BadInstructionError} when a label is missing, named twice,
 * too far away or at the end, or when a map is missing.
 */
export function assemble(
  instructions: readonly Instruction[],
  { maps = {} }: AssembleOptions = {},
): Uint8Array<ArrayBuffer> {
  const { slotOfLabel, slots } = layOut(instructions);
  const bytes = new Uint8Array(slots * SLOT_BYTES);
  const view = new DataView(bytes.buffer);
  const putSlot = (
    slot: number,
    { opcode, dst, src }: Pick<Operation, "opcode" | "dst" | "src">,
    offset: number,
    immediate: number,
  ) => {
    const at = slot * SLOT_BYTES;
    bytes[at] = opcode;
    bytes[at + 1] = src << 4 | dst;
    view.setInt16(at + 2, offset, true);
    view.setInt32(at + 4, immediate, true);
  };

  let slot = 0;
  for (const instruction of instructions) {
    if (instruction.kind === "label") continue;
    if (instruction.opcode === LOAD_64) {
      const wide = instruction.map === undefined
        ? instruction.wide ?? 0n
        : mapOperand(instruction, maps);
      putSlot(slot, instruction, 0, Number(BigInt.asIntN(32, wide)));
      putSlot(
        slot + 1,
        { opcode: 0, dst: 0, src: 0 },
        0,
        Number(BigInt.asIntN(32, wide >> 32n)),
      );
    } else {
      const offset = instruction.target === undefined
        ? instruction.offset
        : jumpOffset(instruction, instruction.target, slot, slotOfLabel);
      putSlot(slot, instruction, offset, instruction.immediate);
    }
    slot += slotsOf(instruction);
  }
  return bytes;
}

/**
 * The instruction at a slot, as the verifier counts: a 64-bit load has two.
 * Nothing when the program is shorter.
 */
export function instructionAt(
  instructions: readonly Instruction[],
  slot: number,
): Operation | undefined {
  let next = 0;
  for (const instruction of instructions) {
    next += slotsOf(instruction);
    if (instruction.kind === "operation" && slot < next) return instruction;
  }
  return undefined;
}

function layOut(
  instructions: readonly Instruction[],
): { slotOfLabel: Map<string, number>; slots: number } {
  const slotOfLabel = new Map<string, number>();
  let slots = 0;
  for (const instruction of instructions) {
    if (instruction.kind === "label") {
      if (slotOfLabel.has(instruction.label)) {
        refuse(instruction, "a label must be there once", instruction.label);
      }
      slotOfLabel.set(instruction.label, slots);
    }
    slots += slotsOf(instruction);
  }
  const last = instructions.at(-1);
  if (last?.kind === "label") {
    refuse(last, "an instruction must follow a label", last.label);
  }
  return { slotOfLabel, slots };
}

function jumpOffset(
  instruction: Operation,
  target: string,
  slot: number,
  slotOfLabel: ReadonlyMap<string, number>,
): number {
  const targetSlot = slotOfLabel.get(target);
  if (targetSlot === undefined) {
    refuse(instruction, "the label must be in the program", target);
  }
  // A jump counts from the instruction behind it.
  const distance = targetSlot - (slot + 1);
  if (distance < -0x8000 || distance > 0x7fff) {
    refuse(
      instruction,
      "a jump must be -32768 to 32767 instructions wide",
      distance,
    );
  }
  return distance;
}

function mapOperand(
  instruction: Operation,
  maps: Readonly<Record<string, number>>,
): bigint {
  const { name, valueOffset = 0 } = instruction.map!;
  const descriptor = Object.hasOwn(maps, name) ? maps[name] : undefined;
  if (descriptor === undefined) {
    refuse(
      instruction,
      `the map must be one of ${Object.keys(maps).join(", ") || "none"}`,
      name,
    );
  }
  return BigInt(valueOffset) << 32n | BigInt(descriptor);
}

function refuse(
  instruction: Instruction,
  rule: string,
  value: number | string,
): never {
  throw new BadInstructionError(
    `assemble "${describe(instruction)}"`,
    rule,
    value,
    instruction.place,
  );
}
