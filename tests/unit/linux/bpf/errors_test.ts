import { assertEquals, assertStringIncludes } from "@std/assert";
import { ERRNO } from "../../../../linux/errno.ts";
import { BpfError, ProgramRefusedError } from "../../../../linux/bpf/errors.ts";

Deno.test("a lack of permission comes with what may grant it", () => {
  const error = new BpfError("make the map loden_peers", ERRNO.EPERM);
  assertEquals(error.code, "linux.EPERM");
  assertEquals(
    error.message,
    "Cannot make the map loden_peers: the kernel answered EPERM",
  );
  assertStringIncludes(error.hint!, "CAP_BPF and CAP_NET_ADMIN");
});

Deno.test("any other refusal comes without a hint on permissions", () => {
  assertEquals(new BpfError("make a map", ERRNO.ENOMEM).hint, undefined);
});

const REFUSAL = {
  errno: ERRNO.EACCES,
  kernelRelease: "6.1.0",
  log: "R3 !read_ok",
};

Deno.test("a refused program is shown with its instruction, line and log", () => {
  const error = new ProgramRefusedError("loden_tx", {
    ...REFUSAL,
    instruction: "r0 = r3",
    place: "backend/udp/tx.ts:7",
  });
  assertEquals(
    error.message,
    "Cannot load the program loden_tx: the verifier of Linux 6.1.0 answered " +
      'EACCES at backend/udp/tx.ts:7, "r0 = r3": R3 !read_ok',
  );
  assertEquals(
    [error.code, error.errno, error.log, error.place],
    ["bpf.verifier", ERRNO.EACCES, "R3 !read_ok", "backend/udp/tx.ts:7"],
  );
});

Deno.test("a refused program without an instruction is shown with its log", () => {
  const error = new ProgramRefusedError("loden_tx", REFUSAL);
  assertEquals(
    error.message,
    "Cannot load the program loden_tx: the verifier of Linux 6.1.0 answered EACCES: R3 !read_ok",
  );
});
