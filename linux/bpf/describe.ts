/**
 * Instructions as text, for messages, similar to the output of the verifier and
 * `llvm-objdump`.
 *
 * @module
 */

import { helperName } from "./helpers.ts";
import {
  ARITHMETIC,
  CLASS,
  COMPARISONS,
  FROM_REGISTER,
  type Instruction,
  JUMP,
  LOAD_64,
  type Operation,
  SIZES,
} from "./instructions.ts";

const ASSIGNMENTS: ReadonlyMap<number, string> = new Map([
  [ARITHMETIC.add, "+="],
  [ARITHMETIC.sub, "-="],
  [ARITHMETIC.mul, "*="],
  [ARITHMETIC.div, "/="],
  [ARITHMETIC.or, "|="],
  [ARITHMETIC.and, "&="],
  [ARITHMETIC.lsh, "<<="],
  [ARITHMETIC.rsh, ">>="],
  [ARITHMETIC.mod, "%="],
  [ARITHMETIC.xor, "^="],
  [ARITHMETIC.mov, "="],
  [ARITHMETIC.arsh, "s>>="],
]);

/** Such as `r1 += 7`, `r0 = *(u8 *)(r1 + 9)`, `if r3 > r2 goto drop`. */
export function describe(instruction: Instruction): string {
  if (instruction.kind === "label") return `${instruction.label}:`;
  switch (instruction.opcode & 7) {
    case CLASS.LD:
      return wideLoad(instruction);
    case CLASS.LDX: {
      const { dst, src } = instruction;
      return `r${dst} = ${memory(instruction, src)}`;
    }
    case CLASS.ST: {
      const { dst, immediate } = instruction;
      return `${memory(instruction, dst)} = ${immediate}`;
    }
    case CLASS.STX: {
      const { dst, src, opcode } = instruction;
      const target = memory(instruction, dst);
      return (opcode & 0xe0) === 0xc0
        ? `lock ${target} += r${src}`
        : `${target} = r${src}`;
    }
    case CLASS.JMP:
      return jump(instruction, "r");
    case CLASS.JMP32:
      return jump(instruction, "w");
    case CLASS.ALU32:
      return arithmetic(instruction, "w");
    default:
      return arithmetic(instruction, "r");
  }
}

function wideLoad({ opcode, dst, map, wide }: Operation): string {
  if (opcode !== LOAD_64) return `opcode 0x${opcode.toString(16)}`;
  if (map === undefined) return `r${dst} = 0x${(wide ?? 0n).toString(16)} ll`;
  return map.valueOffset === undefined
    ? `r${dst} = map ${map.name}`
    : `r${dst} = value of map ${map.name} + ${map.valueOffset}`;
}

function memory({ opcode, offset }: Operation, base: number): string {
  const size =
    Object.entries(SIZES).find(([, bits]) => bits === (opcode & 0x18))![0];
  return `*(${size} *)(r${base} ${signed(offset)})`;
}

function signed(offset: number): string {
  return offset < 0 ? `- ${-offset}` : `+ ${offset}`;
}

function secondOperand({ opcode, src, immediate }: Operation, prefix: string) {
  return opcode & FROM_REGISTER ? `${prefix}${src}` : `${immediate}`;
}

function jump(instruction: Operation, prefix: string): string {
  const { opcode, dst, immediate } = instruction;
  const target = `goto ${instruction.target}`;
  switch (opcode & 0xf0) {
    case JUMP.always:
      return target;
    case JUMP.call:
      return `call ${helperName(immediate)}`;
    case JUMP.exit:
      return "exit";
  }
  const comparison = Object.entries(COMPARISONS).find(([, bits]) =>
    bits === (opcode & 0xf0)
  )?.[0];
  return `if ${prefix}${dst} ${comparison} ${
    secondOperand(instruction, prefix)
  } ${target}`;
}

function arithmetic(instruction: Operation, prefix: string): string {
  const { opcode, dst, immediate } = instruction;
  switch (opcode & 0xf0) {
    case ARITHMETIC.neg:
      return `${prefix}${dst} = -${prefix}${dst}`;
    case ARITHMETIC.end:
      return `r${dst} = ${
        opcode & FROM_REGISTER ? "be" : "le"
      }${immediate} r${dst}`;
  }
  return `${prefix}${dst} ${ASSIGNMENTS.get(opcode & 0xf0)} ${
    secondOperand(instruction, prefix)
  }`;
}
