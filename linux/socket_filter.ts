/**
 * A filter in front of a UDP socket's buffer: the kernel drops what does not pass,
 * so that a flood of others does not fill the buffer.
 *
 * Source: `linux/filter.h`, `Documentation/networking/filter.rst`.
 *
 * @module
 */

import type { Ipv4 } from "../net/ipv4.ts";
import { setSocketOptionBytes } from "./inet_socket.ts";
import { addressOf, checked } from "./libc.ts";

/** What a datagram must have. */
export interface DatagramFilter {
  /** Numbers of the devices by which it may come. */
  readonly interfaceIndexes: readonly number[];
  readonly sourcePort: number;
  /** The least TTL with which it may arrive. */
  readonly leastTtl: number;
  /** Bits that its source address must not have. */
  readonly clearSourceBits: Ipv4;
}

const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;

const LOAD_WORD = 0x20;
const LOAD_HALF = 0x28;
const LOAD_BYTE = 0x30;
const JUMP = 0x05;
const JUMP_IF_EQUAL = 0x15;
const JUMP_IF_AT_LEAST = 0x35;
const JUMP_IF_ANY_BIT = 0x45;
const RETURN = 0x06;
/** SKF_AD_OFF + SKF_AD_IFINDEX. */
const INTERFACE_INDEX = -0x1000 + 8;
/** The filter of a UDP socket sees the datagram from its UDP header on. */
const SOURCE_PORT = 0;
/** SKF_NET_OFF, and the offsets in the IPv4 header. */
const TTL = -0x100000 + 8;
const SOURCE_ADDRESS = -0x100000 + 12;
const WHOLE = 0xffff_ffff;

/** struct sock_filter: code (u16), jt, jf (u8 each), k (u32). */
const INSTRUCTION_BYTES = 8;
/** struct sock_fprog: count (u16), address. */
const PROGRAM_BYTES = 16;

type Instruction = readonly [
  code: number,
  operand: number,
  ifTrue?: number,
  ifFalse?: number,
];

/** Replaces the socket's filter. Throws {@linkcode SystemCallError}. */
export function filterDatagrams(
  descriptor: number,
  filter: DatagramFilter,
): void {
  const instructions = program(filter);
  const code = new DataView(
    new ArrayBuffer(instructions.length * INSTRUCTION_BYTES),
  );
  instructions.forEach(([operation, operand, ifTrue = 0, ifFalse = 0], at) => {
    code.setUint16(at * INSTRUCTION_BYTES, operation, true);
    code.setUint8(at * INSTRUCTION_BYTES + 2, ifTrue);
    code.setUint8(at * INSTRUCTION_BYTES + 3, ifFalse);
    code.setInt32(at * INSTRUCTION_BYTES + 4, operand, true);
  });
  const header = new DataView(new ArrayBuffer(PROGRAM_BYTES));
  header.setUint16(0, instructions.length, true);
  header.setBigUint64(8, BigInt(addressOf(code)), true);
  checked(
    setSocketOptionBytes(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, header),
    "set the filter of a UDP socket",
  );
}

function program(
  { clearSourceBits, interfaceIndexes, leastTtl, sourcePort }: DatagramFilter,
): Instruction[] {
  const drop: Instruction = [RETURN, 0];
  return [
    [LOAD_WORD, INTERFACE_INDEX],
    // Conditional jumps reach 255 instructions at most.
    ...interfaceIndexes.flatMap((index, at): Instruction[] => [
      [JUMP_IF_EQUAL, index, 0, 1],
      [JUMP, (interfaceIndexes.length - at - 1) * 2 + 1],
    ]),
    drop,
    [LOAD_HALF, SOURCE_PORT],
    [JUMP_IF_EQUAL, sourcePort, 1, 0],
    drop,
    [LOAD_BYTE, TTL],
    [JUMP_IF_AT_LEAST, leastTtl, 1, 0],
    drop,
    [LOAD_WORD, SOURCE_ADDRESS],
    [JUMP_IF_ANY_BIT, clearSourceBits, 0, 1],
    drop,
    [RETURN, WHOLE],
  ];
}
