/**
 * Says whether the driver of `eth0` forgets its XDP program when the link goes
 * down: the kernel then keeps the program for good. No agent and none of its
 * programs takes part.
 *
 * @module
 */

import { KernelBpf } from "../../../linux/bpf/kernel_bpf.ts";
import { exit, mov, R0 } from "../../../linux/bpf/instructions.ts";
import { run } from "../../../tools/command.ts";

const XDP_PASS = 2;
/** The kernel frees a program a moment later. */
const FREED_MS = 3_000;

const index = Number(await Deno.readTextFile("/sys/class/net/eth0/ifindex"));
using bpf = new KernelBpf();
const keptAtOnce = await isKept(() => Promise.resolve());
const keptAfterDown = await isKept(async () => {
  await run(["ip", "link", "set", "eth0", "down"]);
  await run(["ip", "link", "set", "eth0", "up"]);
});
console.log(`forgets=${!keptAtOnce && keptAfterDown ? "yes" : "no"}`);

/** Whether a program is there after it was attached and detached. */
async function isKept(meanwhile: () => Promise<void>): Promise<boolean> {
  const id = attach();
  await meanwhile();
  bpf.setXdp(index, undefined);
  for (const end = performance.now() + FREED_MS; performance.now() < end;) {
    using program = bpf.openProgram(id);
    if (program === undefined) return false;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return true;
}

function attach(): number {
  using program = bpf.loadProgram({
    name: "pass_all",
    type: "xdp",
    build: () => [mov(R0, XDP_PASS), exit()],
  });
  bpf.setXdp(index, program);
  return program.id;
}
