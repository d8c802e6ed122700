/**
 * As `frame_inject.ts`, with the tag of a VLAN beside each frame, not in it, as a
 * network card has it that removes tags: `vlan_inject.ts <device> <vlan>`.
 *
 * @module
 */

import {
  networkHalf,
  VERDICT,
} from "../../../backend/udp/ebpf/programs/layout.ts";
import {
  call,
  exit,
  mov,
  R0,
  R2,
  R3,
} from "../../../linux/bpf/instructions.ts";
import { KernelBpf } from "../../../linux/bpf/kernel_bpf.ts";
import { openFrameSocket } from "./frame_socket.ts";
import { sendLines } from "./send_lines.ts";

const VLAN_ETHERTYPE = 0x8100;

const [device, vlan] = Deno.args as [string, string];
const index = Number(Deno.readTextFileSync(`/sys/class/net/${device}/ifindex`));
using bpf = new KernelBpf();
using tagger = bpf.loadProgram({
  name: "tagger",
  type: "schedCls",
  build: () => [
    mov(R2, networkHalf(VLAN_ETHERTYPE)),
    mov(R3, Number(vlan)),
    call("skb_vlan_push"),
    mov(R0, VERDICT.PASS),
    exit(),
  ],
});
const attached = bpf.attach(index, "egress", tagger);
try {
  await sendLines(await openFrameSocket(device));
} finally {
  bpf.detach(index, "egress", attached);
}
