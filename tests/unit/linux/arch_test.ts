import { assertEquals, assertThrows } from "@std/assert";
import {
  architecture,
  isLittleEndian,
  UnsupportedArchitectureError,
} from "../../../linux/arch.ts";

Deno.test("the bpf system call has its number on each architecture", () => {
  assertEquals(architecture("x86_64").systemCalls.bpf, 321);
  assertEquals(architecture("aarch64").systemCalls.bpf, 280);
});

Deno.test("this machine is one of the supported ones", () => {
  assertEquals(architecture().name, Deno.build.arch);
  assertEquals(isLittleEndian(), true);
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

Deno.test("a big endian processor is refused", () => {
  assertThrows(
    () => architecture("aarch64", false),
    UnsupportedArchitectureError,
    "aarch64, big endian",
  );
});
