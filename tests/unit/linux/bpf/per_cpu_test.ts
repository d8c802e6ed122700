import { assertEquals, assertThrows } from "@std/assert";
import { LodenError } from "../../../../errors.ts";
import {
  perCpuStrideBytes,
  perCpuValues,
  possibleCpus,
  sumPerCpu,
} from "../../../../linux/bpf/per_cpu.ts";

Deno.test("a CPU's value takes whole 64-bit words", () => {
  assertEquals([1, 8, 9, 16].map(perCpuStrideBytes), [8, 8, 16, 16]);
});

Deno.test("a value per CPU is cut into each CPU's value, without the padding", () => {
  const value = Uint8Array.of(1, 2, 3, 0, 0, 0, 0, 0, 4, 5, 6, 0, 0, 0, 0, 0);
  assertEquals(perCpuValues(value, 3), [
    Uint8Array.of(1, 2, 3),
    Uint8Array.of(4, 5, 6),
  ]);
});

Deno.test("each 64-bit counter is summed over the CPUs", () => {
  const counters = BigUint64Array.of(1n, 20n, 300n, 2n ** 40n);
  assertEquals(sumPerCpu(new Uint8Array(counters.buffer), 16), [
    301,
    20 + 2 ** 40,
  ]);
});

Deno.test("the possible CPUs are counted from ranges and single numbers", () => {
  assertEquals(possibleCpus("0\n"), 1);
  assertEquals(possibleCpus("0-3\n"), 4);
  assertEquals(possibleCpus("0-1,4,8-11\n"), 7);
});

Deno.test("a list of CPUs that cannot be read is refused with its text", () => {
  const error = assertThrows(() => possibleCpus("none\n"), LodenError);
  assertEquals(
    error.message,
    "Cannot tell the processors: /sys/devices/system/cpu/possible must be a list such as 0-3,8: current value is none",
  );
});
