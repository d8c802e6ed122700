/**
 * What each instruction is in bytes.
 *
 * Made once, not by the assembler: by `llvm-mc -triple bpfel --show-encoding`, and
 * from the constants of `linux/bpf.h` for those that its version 14 does not read:
 * modulo, the store of a number, and the test of bits.
 *
 * @module
 */

import {
  add,
  and,
  arsh,
  atomicAdd,
  call,
  div,
  exit,
  goto,
  type Instruction,
  jumpIf,
  jumpIf32,
  load,
  load64,
  lsh,
  mod,
  mov,
  mov32,
  mul,
  neg,
  or,
  R0,
  R1,
  R10,
  R2,
  R3,
  R4,
  R5,
  R6,
  R8,
  R9,
  rsh,
  store,
  sub,
  toBigEndian,
  xor,
} from "../../../../linux/bpf/instructions.ts";

/** An instruction; its text; its bytes. */
export type Encoding = readonly [
  instruction: Instruction,
  text: string,
  bytes: string,
];

/** `goto end` is a jump over one instruction. */
export const ENCODINGS: readonly Encoding[] = [
  [mov(R1, R2), "r1 = r2", "bf21000000000000"],
  [mov(R3, 7), "r3 = 7", "b703000007000000"],
  [mov32(R1, R9), "w1 = w9", "bc91000000000000"],
  [mov32(R4, 5), "w4 = 5", "b404000005000000"],
  [add(R1, R2), "r1 += r2", "0f21000000000000"],
  [add(R3, 7), "r3 += 7", "0703000007000000"],
  [sub(R1, R2), "r1 -= r2", "1f21000000000000"],
  [sub(R3, 7), "r3 -= 7", "1703000007000000"],
  [mul(R1, R2), "r1 *= r2", "2f21000000000000"],
  [mul(R3, 7), "r3 *= 7", "2703000007000000"],
  [div(R1, R2), "r1 /= r2", "3f21000000000000"],
  [div(R3, 7), "r3 /= 7", "3703000007000000"],
  [and(R1, R2), "r1 &= r2", "5f21000000000000"],
  [and(R3, 7), "r3 &= 7", "5703000007000000"],
  [or(R1, R2), "r1 |= r2", "4f21000000000000"],
  [or(R3, 7), "r3 |= 7", "4703000007000000"],
  [xor(R1, R2), "r1 ^= r2", "af21000000000000"],
  [xor(R3, 7), "r3 ^= 7", "a703000007000000"],
  [lsh(R1, R2), "r1 <<= r2", "6f21000000000000"],
  [lsh(R3, 7), "r3 <<= 7", "6703000007000000"],
  [rsh(R1, R2), "r1 >>= r2", "7f21000000000000"],
  [rsh(R3, 7), "r3 >>= 7", "7703000007000000"],
  [arsh(R1, R2), "r1 s>>= r2", "cf21000000000000"],
  [arsh(R3, 7), "r3 s>>= 7", "c703000007000000"],
  [mov(R0, -1), "r0 = -1", "b7000000ffffffff"],
  [
    mov(R0, 0x7fff_ffff),
    "r0 = 2147483647",
    "b7000000ffffff7f",
  ],
  [
    mov(R0, -(2 ** 31)),
    "r0 = -2147483648",
    "b700000000000080",
  ],
  [mov32(R0, 0xffff_ffff), "w0 = -1", "b4000000ffffffff"],
  [
    mov32(R0, 0x8000_0000),
    "w0 = -2147483648",
    "b400000000000080",
  ],
  [neg(R5), "r5 = -r5", "8705000000000000"],
  [toBigEndian(R2, 16), "r2 = be16 r2", "dc02000010000000"],
  [toBigEndian(R2, 32), "r2 = be32 r2", "dc02000020000000"],
  [toBigEndian(R2, 64), "r2 = be64 r2", "dc02000040000000"],
  [
    load("u8", R0, R1, 4),
    "r0 = *(u8 *)(r1 + 4)",
    "7110040000000000",
  ],
  [
    store("u8", R10, -8, R6),
    "*(u8 *)(r10 - 8) = r6",
    "736af8ff00000000",
  ],
  [
    load("u16", R0, R1, 4),
    "r0 = *(u16 *)(r1 + 4)",
    "6910040000000000",
  ],
  [
    store("u16", R10, -8, R6),
    "*(u16 *)(r10 - 8) = r6",
    "6b6af8ff00000000",
  ],
  [
    load("u32", R0, R1, 4),
    "r0 = *(u32 *)(r1 + 4)",
    "6110040000000000",
  ],
  [
    store("u32", R10, -8, R6),
    "*(u32 *)(r10 - 8) = r6",
    "636af8ff00000000",
  ],
  [
    load("u64", R0, R1, 4),
    "r0 = *(u64 *)(r1 + 4)",
    "7910040000000000",
  ],
  [
    store("u64", R10, -8, R6),
    "*(u64 *)(r10 - 8) = r6",
    "7b6af8ff00000000",
  ],
  [
    load("u32", R9, R1, 0x7fff),
    "r9 = *(u32 *)(r1 + 32767)",
    "6119ff7f00000000",
  ],
  [
    load("u32", R9, R1, -0x8000),
    "r9 = *(u32 *)(r1 - 32768)",
    "6119008000000000",
  ],
  [
    atomicAdd("u32", R0, 8, R1),
    "lock *(u32 *)(r0 + 8) += r1",
    "c310080000000000",
  ],
  [
    atomicAdd("u64", R0, 8, R1),
    "lock *(u64 *)(r0 + 8) += r1",
    "db10080000000000",
  ],
  [
    load64(R1, 0x1122_3344_5566_7788n),
    "r1 = 0x1122334455667788 ll",
    "18010000887766550000000044332211",
  ],
  [
    load64(R1, -1n),
    "r1 = 0xffffffffffffffff ll",
    "18010000ffffffff00000000ffffffff",
  ],
  [
    load64(R1, 0x8000_0000n),
    "r1 = 0x80000000 ll",
    "18010000000000800000000000000000",
  ],
  [
    jumpIf(R1, "==", R2, "end"),
    "if r1 == r2 goto end",
    "1d21010000000000",
  ],
  [
    jumpIf(R1, "==", 3, "end"),
    "if r1 == 3 goto end",
    "1501010003000000",
  ],
  [
    jumpIf32(R1, "==", R2, "end"),
    "if w1 == w2 goto end",
    "1e21010000000000",
  ],
  [
    jumpIf32(R1, "==", 3, "end"),
    "if w1 == 3 goto end",
    "1601010003000000",
  ],
  [
    jumpIf(R1, "!=", R2, "end"),
    "if r1 != r2 goto end",
    "5d21010000000000",
  ],
  [
    jumpIf(R1, "!=", 3, "end"),
    "if r1 != 3 goto end",
    "5501010003000000",
  ],
  [
    jumpIf32(R1, "!=", R2, "end"),
    "if w1 != w2 goto end",
    "5e21010000000000",
  ],
  [
    jumpIf32(R1, "!=", 3, "end"),
    "if w1 != 3 goto end",
    "5601010003000000",
  ],
  [
    jumpIf(R1, ">", R2, "end"),
    "if r1 > r2 goto end",
    "2d21010000000000",
  ],
  [
    jumpIf(R1, ">", 3, "end"),
    "if r1 > 3 goto end",
    "2501010003000000",
  ],
  [
    jumpIf32(R1, ">", R2, "end"),
    "if w1 > w2 goto end",
    "2e21010000000000",
  ],
  [
    jumpIf32(R1, ">", 3, "end"),
    "if w1 > 3 goto end",
    "2601010003000000",
  ],
  [
    jumpIf(R1, ">=", R2, "end"),
    "if r1 >= r2 goto end",
    "3d21010000000000",
  ],
  [
    jumpIf(R1, ">=", 3, "end"),
    "if r1 >= 3 goto end",
    "3501010003000000",
  ],
  [
    jumpIf32(R1, ">=", R2, "end"),
    "if w1 >= w2 goto end",
    "3e21010000000000",
  ],
  [
    jumpIf32(R1, ">=", 3, "end"),
    "if w1 >= 3 goto end",
    "3601010003000000",
  ],
  [
    jumpIf(R1, "<", R2, "end"),
    "if r1 < r2 goto end",
    "ad21010000000000",
  ],
  [
    jumpIf(R1, "<", 3, "end"),
    "if r1 < 3 goto end",
    "a501010003000000",
  ],
  [
    jumpIf32(R1, "<", R2, "end"),
    "if w1 < w2 goto end",
    "ae21010000000000",
  ],
  [
    jumpIf32(R1, "<", 3, "end"),
    "if w1 < 3 goto end",
    "a601010003000000",
  ],
  [
    jumpIf(R1, "<=", R2, "end"),
    "if r1 <= r2 goto end",
    "bd21010000000000",
  ],
  [
    jumpIf(R1, "<=", 3, "end"),
    "if r1 <= 3 goto end",
    "b501010003000000",
  ],
  [
    jumpIf32(R1, "<=", R2, "end"),
    "if w1 <= w2 goto end",
    "be21010000000000",
  ],
  [
    jumpIf32(R1, "<=", 3, "end"),
    "if w1 <= 3 goto end",
    "b601010003000000",
  ],
  [
    jumpIf(R1, "s>", R2, "end"),
    "if r1 s> r2 goto end",
    "6d21010000000000",
  ],
  [
    jumpIf(R1, "s>", 3, "end"),
    "if r1 s> 3 goto end",
    "6501010003000000",
  ],
  [
    jumpIf32(R1, "s>", R2, "end"),
    "if w1 s> w2 goto end",
    "6e21010000000000",
  ],
  [
    jumpIf32(R1, "s>", 3, "end"),
    "if w1 s> 3 goto end",
    "6601010003000000",
  ],
  [
    jumpIf(R1, "s>=", R2, "end"),
    "if r1 s>= r2 goto end",
    "7d21010000000000",
  ],
  [
    jumpIf(R1, "s>=", 3, "end"),
    "if r1 s>= 3 goto end",
    "7501010003000000",
  ],
  [
    jumpIf32(R1, "s>=", R2, "end"),
    "if w1 s>= w2 goto end",
    "7e21010000000000",
  ],
  [
    jumpIf32(R1, "s>=", 3, "end"),
    "if w1 s>= 3 goto end",
    "7601010003000000",
  ],
  [
    jumpIf(R1, "s<", R2, "end"),
    "if r1 s< r2 goto end",
    "cd21010000000000",
  ],
  [
    jumpIf(R1, "s<", 3, "end"),
    "if r1 s< 3 goto end",
    "c501010003000000",
  ],
  [
    jumpIf32(R1, "s<", R2, "end"),
    "if w1 s< w2 goto end",
    "ce21010000000000",
  ],
  [
    jumpIf32(R1, "s<", 3, "end"),
    "if w1 s< 3 goto end",
    "c601010003000000",
  ],
  [
    jumpIf(R1, "s<=", R2, "end"),
    "if r1 s<= r2 goto end",
    "dd21010000000000",
  ],
  [
    jumpIf(R1, "s<=", 3, "end"),
    "if r1 s<= 3 goto end",
    "d501010003000000",
  ],
  [
    jumpIf32(R1, "s<=", R2, "end"),
    "if w1 s<= w2 goto end",
    "de21010000000000",
  ],
  [
    jumpIf32(R1, "s<=", 3, "end"),
    "if w1 s<= 3 goto end",
    "d601010003000000",
  ],
  [
    jumpIf(R8, "==", -1, "end"),
    "if r8 == -1 goto end",
    "15080100ffffffff",
  ],
  [goto("end"), "goto end", "0500010000000000"],
  [
    call("map_lookup_elem"),
    "call map_lookup_elem",
    "8500000001000000",
  ],
  [
    call("redirect_neigh"),
    "call redirect_neigh",
    "8500000098000000",
  ],
  [exit(), "exit", "9500000000000000"],
  [mod(R1, R2), "r1 %= r2", "9f21000000000000"],
  [mod(R3, 7), "r3 %= 7", "9703000007000000"],
  [
    store("u8", R10, -8, 1),
    "*(u8 *)(r10 - 8) = 1",
    "720af8ff01000000",
  ],
  [
    store("u16", R10, -8, 1),
    "*(u16 *)(r10 - 8) = 1",
    "6a0af8ff01000000",
  ],
  [
    store("u32", R10, -8, 1),
    "*(u32 *)(r10 - 8) = 1",
    "620af8ff01000000",
  ],
  [
    store("u64", R10, -8, 1),
    "*(u64 *)(r10 - 8) = 1",
    "7a0af8ff01000000",
  ],
  [
    store("u8", R10, -1, 0xff),
    "*(u8 *)(r10 - 1) = 255",
    "720affffff000000",
  ],
  [
    store("u32", R10, -4, 0xffff_ffff),
    "*(u32 *)(r10 - 4) = -1",
    "620afcffffffffff",
  ],
  [
    jumpIf(R1, "&", R2, "end"),
    "if r1 & r2 goto end",
    "4d21010000000000",
  ],
  [
    jumpIf(R1, "&", 3, "end"),
    "if r1 & 3 goto end",
    "4501010003000000",
  ],
  [
    jumpIf32(R1, "&", R2, "end"),
    "if w1 & w2 goto end",
    "4e21010000000000",
  ],
  [
    jumpIf32(R1, "&", 3, "end"),
    "if w1 & 3 goto end",
    "4601010003000000",
  ],
  [
    jumpIf32(R1, "==", 0xffff_ffff, "end"),
    "if w1 == -1 goto end",
    "16010100ffffffff",
  ],
];
