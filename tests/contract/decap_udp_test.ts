import { assertEquals } from "@std/assert";
import { hasDecapUdp } from "../../backend/udp/ebpf/decap_udp.ts";
import { KernelBpf } from "../../linux/bpf/kernel_bpf.ts";

const [MAJOR, MINOR] = Deno.osRelease().split(".").map(Number);
const IS_NEW = MAJOR! > 7 || (MAJOR === 7 && MINOR! >= 3);

Deno.test(`the flag that resets a tunnel's state is ${IS_NEW ? "" : "not "}found on Linux ${MAJOR}.${MINOR}`, () => {
  using bpf = new KernelBpf();
  assertEquals(hasDecapUdp(bpf), IS_NEW);
});
