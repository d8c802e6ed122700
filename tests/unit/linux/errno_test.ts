import { assertEquals } from "@std/assert";
import { describeError } from "../../../errors.ts";
import { ERRNO, errnoName, SystemCallError } from "../../../linux/errno.ts";

Deno.test("error numbers are those of this machine's C library", () => {
  // glibc 2.32; Node's own table lacks some.
  const libc = Deno.dlopen("libc.so.6", {
    strerrorname_np: { parameters: ["i32"], result: "pointer" },
  });
  try {
    for (const [name, value] of Object.entries(ERRNO)) {
      const theirs = libc.symbols.strerrorname_np(value);
      assertEquals(theirs && Deno.UnsafePointerView.getCString(theirs), name);
    }
  } finally {
    libc.close();
  }
});

Deno.test("an error number has its name, and an unknown one its value", () => {
  assertEquals(errnoName(16), "EBUSY");
  assertEquals(errnoName(90), "EMSGSIZE");
  assertEquals(errnoName(200), "errno 200");
  // The kernel's own: no C library names it.
  assertEquals(errnoName(524), "ENOTSUPP");
});

Deno.test("a refused system call says what failed, why, and what to do", () => {
  const cause = new Error("below");
  const error = new SystemCallError("open /dev/net/tun", 2, {
    hint: "modprobe tun",
    cause,
  });
  assertEquals(error.name, "SystemCallError");
  assertEquals(error.code, "linux.ENOENT");
  assertEquals(error.errno, 2);
  assertEquals(error.cause, cause);
  assertEquals(
    describeError(error),
    "Cannot open /dev/net/tun: the kernel answered ENOENT (modprobe tun)",
  );
});
