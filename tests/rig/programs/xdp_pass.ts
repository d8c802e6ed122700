/**
 * Puts an XDP program that lets everything pass to devices, in native mode, and
 * leaves it there: `xdp_pass.ts <device>...`. A program that is there stays.
 *
 * @module
 */

import { exit, mov, R0 } from "../../../linux/bpf/instructions.ts";
import { KernelBpf } from "../../../linux/bpf/kernel_bpf.ts";

/** `enum xdp_action`, linux/bpf.h. */
const XDP_PASS = 2;

using bpf = new KernelBpf();
using program = bpf.loadProgram({
  name: "rig_pass",
  type: "xdp",
  build: () => [mov(R0, XDP_PASS), exit()],
});
for (const device of Deno.args) {
  const index = Number(
    Deno.readTextFileSync(`/sys/class/net/${device}/ifindex`),
  );
  if (bpf.xdp(index) === undefined) bpf.setXdp(index, program);
}
