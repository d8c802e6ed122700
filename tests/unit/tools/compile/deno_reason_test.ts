import { assertEquals } from "@std/assert";
import { denoReason } from "../../../../tools/compile/deno_reason.ts";

Deno.test("a download that fails is reported with its address", () => {
  const stderr = `error: Writing deno compile executable to temporary file 'x'

Caused by:
    0: Setting up base binary.
    1: error sending request for url (https://dl.deno.land/release/x.zip): client error (Connect)
    2: client error (Connect)
    3: dns error

Stack backtrace:
   0: <unknown>
`;
  assertEquals(
    denoReason(stderr),
    "error sending request for url (https://dl.deno.land/release/x.zip): " +
      "client error (Connect)",
  );
});

Deno.test("other failures are reported by Deno's last two lines", () => {
  assertEquals(
    denoReason("error: Cannot do it\n\nCaused by:\n    0: no space left\n"),
    "error: Cannot do it: no space left",
  );
  assertEquals(denoReason("\n"), "it gave no reason");
});
