import { assert, assertThrows } from "@std/assert";
import { isProcessGone } from "../../../linux/proc_error.ts";

Deno.test("a process that ended between open and read is gone", async () => {
  const child = new Deno.Command("sleep", { args: ["60"] }).spawn();
  using file = Deno.openSync(`/proc/${child.pid}/cmdline`);
  child.kill("SIGKILL");
  await child.status;
  const error = assertThrows(() => file.readSync(new Uint8Array(64)), Error);
  assert(isProcessGone(error), String(error));
});

Deno.test("so is one that was never there; other errors are something else", () => {
  // Larger than pid_max can be.
  const error = assertThrows(
    () => Deno.readTextFileSync(`/proc/${2 ** 22 + 1}/cmdline`),
    Error,
  );
  assert(isProcessGone(error));
  assert(!isProcessGone(new TypeError("a mistake of ours")));
});
