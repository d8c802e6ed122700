/**
 * Puts an XDP program to devices, in native mode, that drops TCP in VXLAN
 * (IPv4, no options) whose inner checksum the sender has left to its network
 * card: `xdp_spoil.ts <device>...`. A driver that writes a wrong one there comes
 * to the same, because the receiver drops the packet.
 *
 * Such a packet crosses a veth with the sum of the pseudo header in the place of
 * its checksum (`CHECKSUM_PARTIAL`).
 *
 * @module
 */

import {
  add,
  and,
  exit,
  jumpIf,
  label,
  load,
  mov,
  R0,
  R1,
  R2,
  R3,
  R6,
  rsh,
  sub,
  toBigEndian,
} from "../../../linux/bpf/instructions.ts";
import { KernelBpf } from "../../../linux/bpf/kernel_bpf.ts";

/** `enum xdp_action` and `struct xdp_md`, linux/bpf.h. */
const XDP = { DROP: 1, PASS: 2, DATA: 0, DATA_END: 4 } as const;

const OUTER_IP = 14;
const OUTER_UDP = OUTER_IP + 20;
const INNER_ETHERNET = OUTER_UDP + 8 + 8;
const INNER_IP = INNER_ETHERNET + 14;
const INNER_TCP = INNER_IP + 20;
const HEADERS_BYTES = INNER_TCP + 20;

const IP = { FIRST: 0, LENGTH: 2, PROTOCOL: 9, SOURCE: 12, DESTINATION: 16 };
const TCP_CHECKSUM = 16;
const UDP_DESTINATION = 2;
const PORT = 8472;
const TCP = 6;

/** Adds the upper half of R1 to the lower one. */
const fold = [mov(R2, R1), rsh(R2, 16), and(R1, 0xffff), add(R1, R2)];

using bpf = new KernelBpf();
using program = bpf.loadProgram({
  name: "rig_spoil",
  type: "xdp",
  build: () => [
    load("u32", R6, R1, XDP.DATA),
    load("u32", R2, R1, XDP.DATA_END),
    mov(R1, R6),
    add(R1, HEADERS_BYTES),
    jumpIf(R1, ">", R2, "pass"),
    load("u8", R1, R6, OUTER_IP + IP.FIRST),
    jumpIf(R1, "!=", 0x45, "pass"),
    load("u16", R1, R6, OUTER_UDP + UDP_DESTINATION),
    toBigEndian(R1, 16),
    jumpIf(R1, "!=", PORT, "pass"),
    load("u8", R1, R6, INNER_IP + IP.FIRST),
    jumpIf(R1, "!=", 0x45, "pass"),
    load("u8", R1, R6, INNER_IP + IP.PROTOCOL),
    jumpIf(R1, "!=", TCP, "pass"),
    // The pseudo header, in the packet's byte order: RFC 1071, 2 (B).
    load("u32", R1, R6, INNER_IP + IP.SOURCE),
    load("u32", R2, R6, INNER_IP + IP.DESTINATION),
    add(R1, R2),
    add(R1, TCP << 8),
    load("u16", R2, R6, INNER_IP + IP.LENGTH),
    toBigEndian(R2, 16),
    sub(R2, INNER_TCP - INNER_IP),
    toBigEndian(R2, 16),
    add(R1, R2),
    ...[...fold, ...fold, ...fold],
    load("u16", R3, R6, INNER_TCP + TCP_CHECKSUM),
    jumpIf(R3, "!=", R1, "pass"),
    mov(R0, XDP.DROP),
    exit(),
    label("pass"),
    mov(R0, XDP.PASS),
    exit(),
  ],
});
for (const device of Deno.args) {
  const index = Number(
    Deno.readTextFileSync(`/sys/class/net/${device}/ifindex`),
  );
  bpf.setXdp(index, program);
}
