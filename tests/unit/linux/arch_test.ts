import { assertEquals, assertThrows } from "@std/assert";
import {
  architecture,
  UnsupportedArchitectureError,
} from "../../../linux/arch.ts";
import { libc } from "../../../linux/libc.ts";

Deno.test("the bpf system call has its number on each architecture", () => {
  assertEquals(architecture("x86_64").systemCalls.bpf, 321);
  assertEquals(architecture("aarch64").systemCalls.bpf, 280);
});

Deno.test("this machine is one of the supported ones", () => {
  assertEquals(architecture().name, Deno.build.arch);
});

Deno.test("another processor is refused with the ones that would do", () => {
  const error = assertThrows(
    () => architecture("riscv64"),
    UnsupportedArchitectureError,
  );
  assertEquals(error.code, "linux.architecture");
  assertEquals(
    error.message,
    "Cannot talk to the kernel: the processor must be one of x86_64, aarch64: " +
      "current value is riscv64",
  );
});

Deno.test("on a big endian processor, nothing reaches the kernel", () => {
  const { of } = Uint16Array;
  // What it has in memory is read here in the other order.
  Uint16Array.of = (number) => of.call(Uint16Array, number! << 8);
  try {
    const error = assertThrows(() => libc(), UnsupportedArchitectureError);
    assertEquals(
      error.message,
      "Cannot talk to the kernel: the processor must be one of x86_64, " +
        `aarch64: current value is ${Deno.build.arch}, big endian`,
    );
  } finally {
    Uint16Array.of = of;
  }
});
