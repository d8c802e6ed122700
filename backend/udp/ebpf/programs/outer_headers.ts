/**
 * Builds the outer headers of a packet on the stack.
 *
 * Sums use 16-bit words in this machine's byte order, which the Internet
 * checksum allows (RFC 1071).
 *
 * @module
 */

import {
  add,
  and,
  type Instruction,
  jumpIf,
  label,
  load,
  mov,
  R1,
  R10,
  R2,
  R3,
  R7,
  R8,
  type Register,
  rsh,
  store,
  sub,
  toBigEndian,
  xor,
} from "../../../../linux/bpf/instructions.ts";
import { PEER, PEER_FLAG } from "../maps.ts";
import type { HostConstants } from "./constants.ts";
import {
  DONT_FRAGMENT,
  FRAGMENT_MASK,
  IPV4,
  networkHalf,
  networkWord,
  OUTER_BYTES,
  OUTER_IP,
  PLAIN_IPV4,
  PROTOCOL,
  UDP,
} from "./layout.ts";
import { fold, STACK } from "./parts.ts";
import { storePorts } from "./source_port.ts";

const OUTER_TTL = 64;

/** Puts the outer headers on the stack; R8 is the length of the packet. */
export function outerHeaders(host: HostConstants): Instruction[] {
  const ip = STACK.HEADERS;
  const udp = ip + IPV4.BYTES;
  const source = networkWord(host.underlayAddress);
  const fixed = networkHalf(PLAIN_IPV4 << 8) + networkHalf(DONT_FRAGMENT) +
    networkHalf((OUTER_TTL << 8) | PROTOCOL.UDP) + (source & 0xffff) +
    (source >>> 16);
  return [
    store("u32", R10, ip, networkHalf(PLAIN_IPV4 << 8)),
    store("u32", R10, ip + IPV4.ID, networkHalf(DONT_FRAGMENT) << 16),
    store(
      "u32",
      R10,
      ip + IPV4.TTL,
      networkHalf((OUTER_TTL << 8) | PROTOCOL.UDP),
    ),
    store("u32", R10, ip + IPV4.SOURCE, source),
    load("u32", R2, R7, PEER.ADDRESS),
    store("u32", R10, ip + IPV4.DESTINATION, R2),
    mov(R1, R8),
    add(R1, OUTER_BYTES),
    toBigEndian(R1, 16),
    store("u16", R10, ip + IPV4.TOTAL_LENGTH, R1),
    add(R1, fixed),
    ...addHalves(R1, R2, R3),
    ...fold(R1, R3),
    xor(R1, 0xffff),
    store("u16", R10, ip + IPV4.CHECKSUM, R1),
    ...storePorts(host, udp),
    mov(R1, R8),
    add(R1, UDP.BYTES),
    toBigEndian(R1, 16),
    // Includes the checksum: 0 means none.
    store("u32", R10, udp + UDP.LENGTH, R1),
  ];
}

/**
 * STACK.PSEUDO_SUM becomes the sum of the inner pseudo header, for
 * {@linkcode outerChecksum}; R7 is the packet, R8 its length and R1 its protocol.
 */
export function sumPseudoHeader(): Instruction[] {
  const source = OUTER_IP + IPV4.SOURCE;
  return [
    load("u16", R2, R7, OUTER_IP + IPV4.FRAGMENT),
    and(R2, networkHalf(FRAGMENT_MASK)),
    jumpIf(R2, "==", 0, "not a fragment"),
    store("u32", R10, STACK.PROTOCOL, 0),
    label("not a fragment"),
    load("u8", R2, R7, OUTER_IP),
    and(R2, 15),
    mov(R3, R8),
    sub(R3, R2),
    sub(R3, R2),
    sub(R3, R2),
    sub(R3, R2),
    toBigEndian(R3, 16),
    // The protocol is the second byte of its half.
    toBigEndian(R1, 16),
    add(R1, R3),
    load("u32", R2, R7, source),
    ...addHalves(R1, R2, R3),
    load("u32", R2, R7, source + 4),
    ...addHalves(R1, R2, R3),
    ...fold(R1, R3),
    store("u64", R10, STACK.PSEUDO_SUM, R1),
  ];
}

/**
 * The outer UDP checksum, computed without the payload ("local checksum
 * offload", `Documentation/networking/checksum-offloads.rst`): a TCP packet
 * with a valid checksum sums up to the complement of its pseudo header, and its
 * IP header to 0. Not for fragments, which have no such sum, nor for other
 * protocols: UDP may have no checksum (RFC 768).
 */
export function outerChecksum(host: HostConstants): Instruction[] {
  const source = networkWord(host.underlayAddress);
  const udp = STACK.HEADERS + IPV4.BYTES;
  const fixed = (source & 0xffff) + (source >>> 16) +
    networkHalf(PROTOCOL.UDP) + networkHalf(host.port);
  return [
    load("u32", R1, R7, PEER.FLAGS),
    and(R1, PEER_FLAG.CHECKSUM),
    jumpIf(R1, "==", 0, "no checksum"),
    load("u32", R1, R10, STACK.PROTOCOL),
    jumpIf(R1, "!=", PROTOCOL.TCP, "no checksum"),
    load("u64", R1, R10, STACK.PSEUDO_SUM),
    xor(R1, 0xffff),
    add(R1, fixed),
    load("u32", R2, R7, PEER.ADDRESS),
    ...addHalves(R1, R2, R3),
    load("u16", R2, R10, udp + UDP.SOURCE),
    add(R1, R2),
    load("u16", R2, R10, udp + UDP.LENGTH),
    add(R1, R2),
    add(R1, R2),
    ...fold(R1, R3),
    xor(R1, 0xffff),
    jumpIf(R1, "!=", 0, "checksum"),
    // 0 would mean "none" (RFC 768).
    mov(R1, 0xffff),
    label("checksum"),
    store("u16", R10, udp + UDP.CHECKSUM, R1),
    label("no checksum"),
  ];
}

/** Adds the two halves of the 32 bits of `word` to `sum`. */
function addHalves(
  sum: Register,
  word: Register,
  scratch: Register,
): Instruction[] {
  return [
    mov(scratch, word),
    and(scratch, 0xffff),
    add(sum, scratch),
    rsh(word, 16),
    add(sum, word),
  ];
}
