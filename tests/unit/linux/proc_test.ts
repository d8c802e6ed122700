import { assert, assertEquals, assertThrows } from "@std/assert";
import { ifThere, isProcessGone, processIds } from "../../../linux/proc.ts";

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

Deno.test("what is not there is undefined, and a defect is thrown", () => {
  assertEquals(
    ifThere(() => Deno.readTextFileSync("/proc/0/status")),
    undefined,
  );
  assertEquals(ifThere(() => 1), 1);
  assertThrows(
    () =>
      ifThere(() => {
        throw new TypeError("a defect");
      }),
    TypeError,
  );
});

Deno.test("this process is among all processes", () => {
  const ids = processIds();
  assertEquals(ids.includes(Deno.pid), true);
  assertEquals(ids.filter((id) => !(id > 0)), []);
});
