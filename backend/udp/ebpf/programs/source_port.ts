/**
 * The source port of outer packets, from a hash of the inner flow.
 *
 * Network cards, fabrics and receive packet steering distribute packets by
 * addresses and ports. With one pair of ports between two hosts they see one
 * flow; with a port per inner flow, as VXLAN has, they see all of them. No
 * receiver looks at the source port, neither flannel nor any version of Loden.
 *
 * The hash is of the packet's own bytes, not the kernel's hash of the socket
 * (`bpf_get_hash_recalc`): that one changes when TCP retransmits and differs
 * between a connection's first and later packets. So a flow always has the same
 * port: from a super-packet or from its segments, before and after a restart.
 *
 * A peer in user space gets all packets from the network's port, as from flannel:
 * it has one socket, and the kernel merges the datagrams of one pair of ports for
 * it (`UDP_GRO`). With a port per flow it would receive many small batches. Its
 * own firewall, which sees outer packets, meets what it knows.
 *
 * ICMP errors quote the port that the packet had. `loden_rx` puts the network's
 * port in its place, for which the agent has a socket: the kernel finds the
 * socket by it and learns the path MTU, with any version of Linux.
 *
 * @module
 */

import {
  add,
  and,
  call,
  goto,
  type Instruction,
  jumpIf,
  jumpIf32,
  label,
  load,
  load64,
  mov,
  mul,
  or,
  R1,
  R10,
  R2,
  R3,
  R4,
  R5,
  R6,
  R7,
  R8,
  rsh,
  store,
  toBigEndian,
  xor,
} from "../../../../linux/bpf/instructions.ts";
import { PEER, PEER_FLAG } from "../maps.ts";
import type { HostConstants } from "./constants.ts";
import {
  FRAGMENT_MASK,
  ICMP,
  IPV4,
  networkHalf,
  networkWord,
  OUTER_IP,
  OUTER_UDP,
  PLAIN_IPV4,
  PROTOCOL,
  UDP,
} from "./layout.ts";
import { linear, STACK } from "./parts.ts";
import { dropped } from "./record_drop.ts";

/** The dynamic ports of RFC 6335: 49152 to 65535. */
const FIRST_PORT = 0xc000;
const PORT_BITS = 14;
/** 2^64 divided by the golden ratio: multiplicative hashing. */
const MULTIPLIER = 0x9e37_79b9_7f4a_7c15n;

/** The source and destination port of TCP and UDP. */
const PORTS_BYTES = 4;
const PORTS_AT = OUTER_IP + IPV4.BYTES;

/**
 * STACK.SOURCE_PORT becomes the port, network byte order. R7 is the packet, R8
 * its length; STACK.PROTOCOL is set.
 *
 * Fragments have no ports except the first, so all of a flow's fragments are
 * hashed by their addresses, as all packets of other protocols are.
 */
export function hashSourcePort(
  { sourcePort }: HostConstants,
): Instruction[] {
  if (sourcePort === "fixed") return [];
  const known = "ports known";
  const mix = [mul(R1, R4), mov(R2, R1), rsh(R2, 32), xor(R1, R2)];
  return [
    mov(R3, 0),
    load("u32", R1, R10, STACK.PROTOCOL),
    jumpIf(R1, "==", PROTOCOL.UDP, "has ports"),
    jumpIf(R1, "!=", PROTOCOL.TCP, known),
    label("has ports"),
    load("u8", R1, R7, OUTER_IP),
    jumpIf(R1, "!=", PLAIN_IPV4, known),
    load("u16", R1, R7, OUTER_IP + IPV4.FRAGMENT),
    and(R1, networkHalf(FRAGMENT_MASK)),
    jumpIf(R1, "!=", 0, known),
    jumpIf(R8, "<", IPV4.BYTES + PORTS_BYTES, known),
    ...linear(R7, PORTS_AT + PORTS_BYTES, dropped("tx.drop.short")),
    load("u32", R3, R7, PORTS_AT),
    label(known),
    load64(R4, MULTIPLIER),
    load("u32", R1, R7, OUTER_IP + IPV4.SOURCE),
    ...mix,
    load("u32", R2, R7, OUTER_IP + IPV4.DESTINATION),
    add(R1, R2),
    ...mix,
    add(R1, R3),
    mul(R1, R4),
    rsh(R1, 64 - PORT_BITS),
    or(R1, FIRST_PORT),
    toBigEndian(R1, 16),
    store("u32", R10, STACK.SOURCE_PORT, R1),
  ];
}

/**
 * Stores both ports of the outer UDP header, which is at `at` on the stack. R7 is
 * the peer.
 */
export function storePorts(
  { port, sourcePort }: HostConstants,
  at: number,
): Instruction[] {
  const destination = networkHalf(port) << 16;
  return sourcePort === "fixed"
    ? [store("u32", R10, at, networkHalf(port) | destination)]
    : [
      load("u32", R1, R10, STACK.SOURCE_PORT),
      load("u32", R2, R7, PEER.FLAGS),
      and(R2, PEER_FLAG.CUT),
      jumpIf(R2, "==", 0, "port of the flow"),
      mov(R1, networkHalf(port)),
      label("port of the flow"),
      or(R1, destination),
      store("u32", R10, at, R1),
    ];
}

/** In an ICMP error about a packet of ours: the quoted packet, and its ports. */
const QUOTED_IP = OUTER_IP + IPV4.BYTES + ICMP.BYTES;
const QUOTED_UDP = QUOTED_IP + IPV4.BYTES;
const PORT_FIELD_BYTES = 2;

/** The label of {@linkcode restoreQuotedPort}. */
export const OTHER_PROTOCOL = "other protocol";

/**
 * In an ICMP error about an outer packet of this host, replaces the quoted
 * source port by the network's. All packets continue to the host.
 *
 * R1 is the protocol and R7 the packet, which has a header without options and
 * is no fragment. Who can forge such an error could forge it with the network's
 * port.
 */
export function restoreQuotedPort(
  host: HostConstants,
  done: string,
): Instruction[] {
  const own = networkWord(host.underlayAddress);
  const port = networkHalf(host.port);
  return [
    label(OTHER_PROTOCOL),
    jumpIf(R1, "!=", PROTOCOL.ICMP, done),
    load("u32", R1, R7, OUTER_IP + IPV4.DESTINATION),
    jumpIf32(R1, "!=", own, done),
    ...linear(R7, QUOTED_UDP + UDP.BYTES, done),
    load("u8", R1, R7, OUTER_UDP + ICMP.TYPE),
    jumpIf(R1, "!=", ICMP.UNREACHABLE, done),
    load("u8", R1, R7, QUOTED_IP),
    jumpIf(R1, "!=", PLAIN_IPV4, done),
    load("u8", R1, R7, QUOTED_IP + IPV4.PROTOCOL),
    jumpIf(R1, "!=", PROTOCOL.UDP, done),
    load("u32", R1, R7, QUOTED_IP + IPV4.SOURCE),
    jumpIf32(R1, "!=", own, done),
    load("u16", R1, R7, QUOTED_UDP + UDP.DESTINATION),
    jumpIf(R1, "!=", port, done),
    load("u16", R8, R7, QUOTED_UDP + UDP.SOURCE),
    mov(R1, R8),
    toBigEndian(R1, 16),
    jumpIf(R1, "<", FIRST_PORT, done),
    store("u64", R10, STACK.SCRATCH, port),
    mov(R1, R6),
    mov(R2, OUTER_UDP + ICMP.CHECKSUM),
    mov(R3, R8),
    mov(R4, port),
    mov(R5, PORT_FIELD_BYTES),
    call("l4_csum_replace"),
    mov(R1, R6),
    mov(R2, QUOTED_UDP + UDP.SOURCE),
    mov(R3, R10),
    add(R3, STACK.SCRATCH),
    mov(R4, PORT_FIELD_BYTES),
    mov(R5, 0),
    call("skb_store_bytes"),
    goto(done),
  ];
}
