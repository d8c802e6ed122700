import { assertEquals } from "@std/assert";
import { constants } from "node:os";
import { describeError } from "../../../errors.ts";
import { ERRNO, errnoName, SystemCallError } from "../../../linux/errno.ts";

Deno.test("error numbers are those of this machine's C headers", () => {
  const fromHeaders = constants.errno as Record<string, number>;
  for (const [name, value] of Object.entries(ERRNO)) {
    assertEquals(value, fromHeaders[name], name);
  }
});

Deno.test("an error number has its name, and an unknown one its value", () => {
  assertEquals(errnoName(16), "EBUSY");
  assertEquals(errnoName(90), "EMSGSIZE");
  assertEquals(errnoName(200), "errno 200");
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
