import { delay } from "@std/async/delay";
import type { MeasuredLink } from "../../../../bench/measure/link.ts";
import { SimplePath } from "../../../../bench/paths/measured_path.ts";
import type { Rig } from "../../../../tests/rig/rig.ts";

/** `T` is stopped: proc_pid_stat(5). */
function isStopped(pid: number): boolean {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return /^State:\s+T/m.test(status);
}

/** A signal is acted upon when its process has its turn. */
async function untilStopped(pid: number, wanted: boolean): Promise<void> {
  for (let attempt = 0; isStopped(pid) !== wanted; attempt++) {
    if (attempt === 5_000) {
      throw new Error(`process ${pid} is ${wanted ? "not " : ""}stopped`);
    }
    await delay(1);
  }
}

Deno.test("a path's processes are stopped while it waits, and those that ended are passed over", async () => {
  const process = new Deno.Command("sleep", { args: ["60"] }).spawn();
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(async () => {
    // A stopped process would not take SIGTERM, with which Deno disposes of it.
    process.kill("SIGKILL");
    await process.status;
  });
  const gone = new Deno.Command("true").spawn();
  await gone.status;
  const path = new SimplePath("nebula", {} as Rig, {} as MeasuredLink, [
    [gone.pid],
    [process.pid],
  ]);
  path.freeze();
  await untilStopped(process.pid, true);
  path.thaw();
  await untilStopped(process.pid, false);
});
