import { assert, assertEquals, assertRejects } from "@std/assert";
import type { PlannedRun } from "../../../../tools/test/plan.ts";
import {
  type Running,
  runPhase,
  type RunResult,
} from "../../../../tools/test/run_phase.ts";

type Totals = Omit<RunResult, "run">;

/** Runs that end when the test says so. */
class World implements AsyncDisposable {
  readonly directory = Deno.makeTempDirSync();
  readonly directories: string[] = [];
  readonly running = new Set<Running>();
  readonly ends = new Map<string, PromiseWithResolvers<Totals>>();
  written = "";

  run(
    names: readonly string[],
    jobs: number,
    signal = new AbortController().signal,
  ) {
    return runPhase({
      title: "a phase",
      jobs,
      runs: names.map((name) => ({ name, deno: "", args: [], binary: "" })),
    }, {
      directory: this.directory,
      signal,
      running: this.running,
      write: (text) => void (this.written += text),
      start: (run, directory, show) => this.#start(run, directory, show),
    });
  }

  /** Lets a run end. */
  async end(name: string, failed = 0): Promise<void> {
    this.ends.get(name)!.resolve({ passed: 1, failed, failures: [] });
    await settle();
  }

  #start(
    { name }: PlannedRun,
    directory: string,
    show: (text: string) => void,
  ): Running {
    assert(Deno.statSync(directory).isDirectory);
    this.directories.push(directory);
    show(`${name} starts\n`);
    const end = Promise.withResolvers<Totals>();
    this.ends.set(name, end);
    return { totals: () => end.promise, kill: () => {} };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.directory, { recursive: true });
  }
}

/** Lets what is ready to go on do so. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("as many run at a time as the phase says, each in a directory of its own", async () => {
  await using world = new World();
  const all = world.run(["a", "b", "c"], 2);
  await settle();
  assertEquals([...world.ends.keys()], ["a", "b"]);
  await world.end("b", 2);
  assertEquals([...world.ends.keys()], ["a", "b", "c"]);
  assertEquals(world.running.size, 2);
  await world.end("a");
  await world.end("c");
  const results = await all;
  assertEquals(results.map(({ run, failed }) => [run.name, failed]), [
    ["a", 0],
    ["b", 2],
    ["c", 0],
  ]);
  assertEquals(new Set(world.directories).size, 3);
  assertEquals(world.running.size, 0);
});

Deno.test("what runs side by side is shown when it has ended, in one piece; what runs alone as it goes", async () => {
  await using world = new World();
  const pair = world.run(["a", "b"], 2);
  await settle();
  assertEquals(world.written, "\n== a phase\n");
  await world.end("b");
  assertEquals(
    world.written,
    "\n== a phase\nb starts\nb: 1 passed, 0 failed, 0 s\n",
  );
  await world.end("a");
  await pair;
  world.written = "";
  const alone = world.run(["c"], 2);
  await settle();
  assertEquals(world.written, "\n== a phase\nc starts\n");
  await world.end("c");
  await alone;
});

Deno.test("a phase that is interrupted ends when all of its runs have, and starts no more", async () => {
  await using world = new World();
  const controller = new AbortController();
  const phase = world.run(["a", "b", "c"], 2, controller.signal);
  let over = false;
  const rejected = assertRejects(() => phase, Error, "interrupted")
    .then(() => over = true);
  await settle();
  controller.abort(new Error("interrupted"));
  world.ends.get("a")!.reject(controller.signal.reason);
  await settle();
  assertEquals(over, false);
  world.ends.get("b")!.reject(controller.signal.reason);
  await rejected;
  assertEquals([...world.ends.keys()], ["a", "b"]);
});
