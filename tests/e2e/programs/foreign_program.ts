/**
 * Puts a program that lets everything pass to a device, as another tool's would
 * be there, and leaves it: `foreign_program.ts <device> <xdp|ingress|egress>`.
 * Prints its number.
 *
 * @module
 */

import { exit, mov, R0 } from "../../../linux/bpf/instructions.ts";
import { KernelBpf } from "../../../linux/bpf/kernel_bpf.ts";

/** linux/bpf.h: XDP_PASS; TC_ACT_UNSPEC, which lets the next program decide. */
const XDP_PASS = 2;
const NEXT_DECIDES = -1;

const [device, hook] = Deno.args as [string, "xdp" | "ingress" | "egress"];
const index = Number(
  await Deno.readTextFile(`/sys/class/net/${device}/ifindex`),
);
using bpf = new KernelBpf();
using program = bpf.loadProgram({
  name: "foreign",
  type: hook === "xdp" ? "xdp" : "schedCls",
  build: () => [mov(R0, hook === "xdp" ? XDP_PASS : NEXT_DECIDES), exit()],
});
if (hook === "xdp") bpf.setXdp(index, program);
else bpf.attach(index, hook, program);
console.log(program.id);
