/**
 * Whether the kernel resets a super-packet's tunnel state when a program
 * decapsulates it: `BPF_F_ADJ_ROOM_DECAP_L4_UDP`, since Linux 7.3.
 *
 * The verifier does not check the flag: a kernel without it refuses each
 * packet. It is therefore tried on a packet (`BPF_PROG_TEST_RUN`).
 *
 * @module
 */

import type { Bpf } from "../../../linux/bpf/bpf.ts";
import {
  call,
  exit,
  mov,
  R2,
  R3,
  R4,
} from "../../../linux/bpf/instructions.ts";
import { toIpv4 } from "../../../net/ipv4.ts";
import { IPV4, OUTER_BYTES } from "./programs/layout.ts";
import { DECAPSULATE_UDP, FIXED_GSO, ROOM_MAC } from "./programs/parts.ts";
import { frameOf } from "./slow_path.ts";

/** TEST-NET-1 (RFC 5737): used by no host. */
const ADDRESS = toIpv4(0xc000_0201);
const PORT = 8285;

/** See the module. */
export function hasDecapUdp(bpf: Bpf): boolean {
  using program = bpf.loadProgram({
    name: "loden_decap_udp",
    type: "schedCls",
    build: () => [
      mov(R2, -OUTER_BYTES),
      mov(R3, ROOM_MAC),
      mov(R4, FIXED_GSO | DECAPSULATE_UDP),
      call("skb_adjust_room"),
      exit(),
    ],
  });
  const payload = new Uint8Array(IPV4.BYTES);
  const data = frameOf(
    { payload, address: ADDRESS, port: PORT },
    { underlayAddress: ADDRESS, port: PORT },
  );
  return bpf.testRun(program, { data }).returnValue === 0;
}
