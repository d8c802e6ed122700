import { assertEquals } from "@std/assert";
import { formatCpuMask, parseCpuMask } from "../../../linux/packet_steering.ts";

Deno.test("processors are read and written as the kernel's masks", () => {
  const masks: [text: string, cpus: bigint][] = [
    ["00000000", 0n],
    ["0000000f", 15n],
    ["00000001,00000000", 1n << 32n],
    ["80000000,00000000,00000001", 1n << 95n | 1n],
  ];
  for (const [text, cpus] of masks) {
    assertEquals(parseCpuMask(`${text}\n`), cpus);
    assertEquals(formatCpuMask(cpus), text);
  }
  // With few processors the kernel writes few digits.
  assertEquals(parseCpuMask("3\n"), 3n);
});
