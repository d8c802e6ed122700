import { assertEquals } from "@std/assert";
import type { MeasuredLink } from "../../../../bench/measure/link.ts";
import { SimplePath } from "../../../../bench/paths/measured_path.ts";
import type { Rig } from "../../../../tests/rig/rig.ts";

/** `T` is stopped: proc_pid_stat(5). */
function isStopped(pid: number): boolean {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return /^State:\s+T/m.test(status);
}

Deno.test("a path's processes are stopped while it waits, and those that ended are passed over", async () => {
  await using process = new Deno.Command("sleep", { args: ["60"] }).spawn();
  const gone = new Deno.Command("true").spawn();
  await gone.status;
  const path = new SimplePath("nebula", {} as Rig, {} as MeasuredLink, [
    [gone.pid],
    [process.pid],
  ]);
  path.freeze();
  assertEquals(isStopped(process.pid), true);
  path.thaw();
  assertEquals(isStopped(process.pid), false);
});
