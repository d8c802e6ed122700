/**
 * The instructions of eBPF, each a value returned by a function.
 *
 * A program is an array of them, composed by functions and spread:
 *
 * ```ts
 * const dropAll = [
 *   mov(R0, 2),
 *   exit(),
 * ];
 * ```
 *
 * Operands that an instruction cannot hold (a number of more than 32 bits, an
 * offset of more than 16) are refused here, with the place in the program.
 * Errors that concern the program as a whole (labels, maps) are refused by
 * `assemble.ts`.
 *
 * Source: RFC 9669, `Documentation/bpf/standardization/instruction-set.rst`.
 *
 * @module
 */

import { BadInstructionError } from "./errors.ts";
import { type HelperName, HELPERS } from "./helpers.ts";
import { currentPlace, placeIfAsked } from "./source_place.ts";

/**
 * One of the eleven registers; an object, so that it cannot be confused with a
 * number.
 */
export interface Register {
  /** 0 to 10. */
  readonly register: number;
}

const register = (number: number): Register =>
  Object.freeze({ register: number });

/** The result of a call, and the program's verdict. */
export const R0: Register = register(0);
/** R1 to R5: the arguments of a call, which destroys them. */
export const R1: Register = register(1);
export const R2: Register = register(2);
export const R3: Register = register(3);
export const R4: Register = register(4);
export const R5: Register = register(5);
/** R6 to R9 keep their values over a call. */
export const R6: Register = register(6);
export const R7: Register = register(7);
export const R8: Register = register(8);
export const R9: Register = register(9);
/** The end of the 512-byte stack; read only. */
export const R10: Register = register(10);

/** The width of a memory access: an unsigned number of so many bits. */
export type Size = "u8" | "u16" | "u32" | "u64";

/** A comparison; `s` is signed, `&` is "have a bit in common". */
export type Comparison =
  | "=="
  | "!="
  | ">"
  | ">="
  | "<"
  | "<="
  | "s>"
  | "s>="
  | "s<"
  | "s<="
  | "&";

/** A map of the program, by its name until the program is loaded. */
export interface MapReference {
  readonly name: string;
  /** Bytes into the value of the map's first element; the map itself without. */
  readonly valueOffset?: number;
}

/** An instruction of one or, with a 64-bit operand, two slots of 8 bytes. */
export interface Operation {
  readonly kind: "operation";
  readonly opcode: number;
  readonly dst: number;
  readonly src: number;
  /** Signed, 16 bits. */
  readonly offset: number;
  /** 32 bits, as a signed number. */
  readonly immediate: number;
  /** With the opcode {@linkcode LOAD_64}: all 64 bits, unsigned. */
  readonly wide?: bigint;
  /** The label to jump to. */
  readonly target?: string;
  /** The map whose descriptor or value takes the place of the operand. */
  readonly map?: MapReference;
  /** File and line, when the program was built with `withPlaces`. */
  readonly place?: string;
}

/** A name for the instruction that follows. No bytes of its own. */
export interface Label {
  readonly kind: "label";
  readonly label: string;
  readonly place?: string;
}

/** What a program is made of. */
export type Instruction = Operation | Label;

/** Classes: the lowest three bits of an opcode. */
export const CLASS = {
  LD: 0x00,
  LDX: 0x01,
  ST: 0x02,
  STX: 0x03,
  ALU32: 0x04,
  JMP: 0x05,
  JMP32: 0x06,
  ALU64: 0x07,
} as const;

/** BPF_X: the second operand is a register. */
export const FROM_REGISTER = 0x08;
/** BPF_MEM: an ordinary memory access. */
const MEM = 0x60;
/** BPF_ATOMIC. */
const ATOMIC = 0xc0;
/** BPF_LD | BPF_IMM | BPF_DW: the one instruction of two slots. */
export const LOAD_64 = 0x18;
/** src_reg of {@linkcode LOAD_64}: BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE. */
const PSEUDO = { MAP: 1, MAP_VALUE: 2 } as const;

/** Opcode bits of arithmetic. */
export const ARITHMETIC = {
  add: 0x00,
  sub: 0x10,
  mul: 0x20,
  div: 0x30,
  or: 0x40,
  and: 0x50,
  lsh: 0x60,
  rsh: 0x70,
  neg: 0x80,
  mod: 0x90,
  xor: 0xa0,
  mov: 0xb0,
  arsh: 0xc0,
  end: 0xd0,
} as const;

/** Opcode bits of jumps. */
export const JUMP = { always: 0x00, call: 0x80, exit: 0x90 } as const;

/** Opcode bits of comparisons. */
export const COMPARISONS: Readonly<Record<Comparison, number>> = {
  "==": 0x10,
  ">": 0x20,
  ">=": 0x30,
  "&": 0x40,
  "!=": 0x50,
  "s>": 0x60,
  "s>=": 0x70,
  "<": 0xa0,
  "<=": 0xb0,
  "s<": 0xc0,
  "s<=": 0xd0,
};

/** Opcode bits of sizes. */
export const SIZES: Readonly<Record<Size, number>> = {
  u32: 0x00,
  u16: 0x08,
  u8: 0x10,
  u64: 0x18,
};

const SIZE_BITS: Readonly<Record<Size, number>> = {
  u8: 8,
  u16: 16,
  u32: 32,
  u64: 64,
};

type Fields =
  & Pick<Operation, "opcode">
  & Partial<Omit<Operation, "kind" | "opcode" | "place">>;

function operation(fields: Fields): Operation {
  const place = placeIfAsked();
  return {
    kind: "operation",
    dst: 0,
    src: 0,
    offset: 0,
    immediate: 0,
    ...fields,
    ...(place === undefined ? {} : { place }),
  };
}

function refuse(what: string, rule: string, value: number | bigint): never {
  throw new BadInstructionError(
    `assemble ${what}`,
    rule,
    value,
    currentPlace(),
  );
}

function requireInteger(
  what: string,
  noun: string,
  value: number,
  least: number,
  most: number,
): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  refuse(what, `${noun} must be an integer of ${least} to ${most}`, value);
}

const INT32_LEAST = -(2 ** 31);
const INT32_MOST = 2 ** 31 - 1;
const UINT32_MOST = 2 ** 32 - 1;

/**
 * A 32-bit operand. Where it is widened to 64 bits the kernel repeats its sign,
 * so 0x8000_0000 would become another number there and is refused.
 */
function immediateOf(what: string, value: number, widened: boolean): number {
  const most = widened ? INT32_MOST : UINT32_MOST;
  return requireInteger(what, "the number", value, INT32_LEAST, most) | 0;
}

function memoryOffset(what: string, value: number): number {
  return requireInteger(what, "the offset", value, -0x8000, 0x7fff);
}

type ArithmeticName = Exclude<keyof typeof ARITHMETIC, "neg" | "end">;

function arithmetic(
  name: ArithmeticName,
  bits: 32 | 64,
  dst: Register,
  src: Register | number,
): Operation {
  const opcode = (bits === 64 ? CLASS.ALU64 : CLASS.ALU32) | ARITHMETIC[name];
  if (typeof src !== "number") {
    return operation({
      opcode: opcode | FROM_REGISTER,
      dst: dst.register,
      src: src.register,
    });
  }
  const what = bits === 64 ? name : `${name}32`;
  switch (name) {
    case "lsh":
    case "rsh":
    case "arsh":
      requireInteger(what, "the shift", src, 0, bits - 1);
      break;
    case "div":
    case "mod":
      if (src === 0) refuse(what, "the divisor must not be 0", src);
      break;
  }
  return operation({
    opcode,
    dst: dst.register,
    immediate: immediateOf(what, src, bits === 64),
  });
}

type Arithmetic = (dst: Register, src: Register | number) => Operation;

const in64 = (name: ArithmeticName): Arithmetic => (dst, src) =>
  arithmetic(name, 64, dst, src);

export const mov: Arithmetic = in64("mov");
export const add: Arithmetic = in64("add");
export const sub: Arithmetic = in64("sub");
export const mul: Arithmetic = in64("mul");
/** Unsigned; by a register that is 0 the result is 0. */
export const div: Arithmetic = in64("div");
/** Unsigned; by a register that is 0 `dst` stays. */
export const mod: Arithmetic = in64("mod");
export const and: Arithmetic = in64("and");
export const or: Arithmetic = in64("or");
export const xor: Arithmetic = in64("xor");
export const lsh: Arithmetic = in64("lsh");
export const rsh: Arithmetic = in64("rsh");
/** Shift right that repeats the sign. */
export const arsh: Arithmetic = in64("arsh");

/** The upper half of `dst` becomes 0. */
export const mov32: Arithmetic = (dst, src) => arithmetic("mov", 32, dst, src);

/** `dst` becomes -`dst`. */
export function neg(dst: Register): Operation {
  return operation({
    opcode: CLASS.ALU64 | ARITHMETIC.neg,
    dst: dst.register,
  });
}

/**
 * The lowest `bits` of `dst` from the machine's byte order to network byte
 * order, or back: it is the same operation. The bits above become 0.
 */
export function toBigEndian(dst: Register, bits: 16 | 32 | 64): Operation {
  return operation({
    opcode: CLASS.ALU32 | ARITHMETIC.end | FROM_REGISTER,
    dst: dst.register,
    immediate: bits,
  });
}

/** `dst` becomes what is at `base` + `offset` bytes; the bits above become 0. */
export function load(
  size: Size,
  dst: Register,
  base: Register,
  offset: number,
): Operation {
  return operation({
    opcode: CLASS.LDX | MEM | SIZES[size],
    dst: dst.register,
    src: base.register,
    offset: memoryOffset(`load ${size}`, offset),
  });
}

/**
 * Puts `src` at `base` + `offset` bytes. A number for a `u64` is signed and of
 * 32 bits; for less it may be given signed or unsigned.
 */
export function store(
  size: Size,
  base: Register,
  offset: number,
  src: Register | number,
): Operation {
  const what = `store ${size}`;
  const place = {
    dst: base.register,
    offset: memoryOffset(what, offset),
  };
  if (typeof src !== "number") {
    return operation({
      ...place,
      opcode: CLASS.STX | MEM | SIZES[size],
      src: src.register,
    });
  }
  const bits = SIZE_BITS[size];
  if (bits < 32) {
    requireInteger(
      what,
      "the number",
      src,
      -(2 ** (bits - 1)),
      2 ** bits - 1,
    );
  }
  return operation({
    ...place,
    opcode: CLASS.ST | MEM | SIZES[size],
    immediate: immediateOf(what, src, bits === 64),
  });
}

/** Adds `src` to what is at `base` + `offset` bytes, in one step for all CPUs. */
export function atomicAdd(
  size: "u32" | "u64",
  base: Register,
  offset: number,
  src: Register,
): Operation {
  return operation({
    opcode: CLASS.STX | ATOMIC | SIZES[size],
    dst: base.register,
    src: src.register,
    offset: memoryOffset(`atomic add ${size}`, offset),
    immediate: ARITHMETIC.add,
  });
}

/** `dst` becomes a number of 64 bits, signed or unsigned. */
export function load64(dst: Register, value: bigint): Operation {
  if (value < -(1n << 63n) || value >= 1n << 64n) {
    refuse("load64", "the number must have 64 bits or less", value);
  }
  return operation({
    opcode: LOAD_64,
    dst: dst.register,
    wide: BigInt.asUintN(64, value),
  });
}

/** `dst` becomes the map, as the helpers take it. */
export function loadMap(dst: Register, name: string): Operation {
  return operation({
    opcode: LOAD_64,
    dst: dst.register,
    src: PSEUDO.MAP,
    map: { name },
  });
}

/**
 * `dst` becomes the address of a byte in the value of an `array` of one entry:
 * no lookup and no check are needed. Linux 5.2.
 */
export function loadMapValue(
  dst: Register,
  name: string,
  offset: number,
): Operation {
  return operation({
    opcode: LOAD_64,
    dst: dst.register,
    src: PSEUDO.MAP_VALUE,
    map: {
      name,
      valueOffset: requireInteger(
        "load map value",
        "the offset",
        offset,
        0,
        INT32_MOST,
      ),
    },
  });
}

function conditionalJump(
  bits: 32 | 64,
  left: Register,
  comparison: Comparison,
  right: Register | number,
  target: string,
): Operation {
  const opcode = (bits === 64 ? CLASS.JMP : CLASS.JMP32) |
    COMPARISONS[comparison];
  return operation({
    dst: left.register,
    target,
    ...(typeof right === "number"
      ? {
        opcode,
        immediate: immediateOf(`jump if ${comparison}`, right, bits === 64),
      }
      : { opcode: opcode | FROM_REGISTER, src: right.register }),
  });
}

/** Jumps to `label` if the comparison of all 64 bits holds. */
export function jumpIf(
  left: Register,
  comparison: Comparison,
  right: Register | number,
  label: string,
): Operation {
  return conditionalJump(64, left, comparison, right, label);
}

/** As {@linkcode jumpIf}, of the lower halves. Linux 5.1. */
export function jumpIf32(
  left: Register,
  comparison: Comparison,
  right: Register | number,
  label: string,
): Operation {
  return conditionalJump(32, left, comparison, right, label);
}

/** Jumps to `label`. */
export function goto(label: string): Operation {
  return operation({ opcode: CLASS.JMP | JUMP.always, target: label });
}

/** Names the instruction that follows; several labels may name one. */
export function label(name: string): Label {
  const place = placeIfAsked();
  return {
    kind: "label",
    label: name,
    ...(place === undefined ? {} : { place }),
  };
}

/** Calls a function of the kernel with R1 to R5; its result is in R0. */
export function call(helper: HelperName): Operation {
  const number = Object.hasOwn(HELPERS, helper) ? HELPERS[helper] : undefined;
  if (number === undefined) {
    throw new BadInstructionError(
      "assemble a call",
      "the helper must be one of linux/bpf/helpers.ts",
      helper,
      currentPlace(),
    );
  }
  return operation({ opcode: CLASS.JMP | JUMP.call, immediate: number });
}

/** Ends the program; R0 is its verdict. */
export function exit(): Operation {
  return operation({ opcode: CLASS.JMP | JUMP.exit });
}
