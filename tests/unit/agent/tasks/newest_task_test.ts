import { assertEquals, assertRejects } from "@std/assert";
import { NewestTask, type Task } from "../../../../agent/tasks/newest_task.ts";

const never = new AbortController().signal;

/** A task that ends when it is let, and notes what becomes of it. */
function held(name: string, notes: string[]) {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const task: Task = async (signal) => {
    notes.push(`${name} begins`);
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    await promise.finally(() =>
      notes.push(`${name} ${signal.aborted ? "is ended" : "is done"}`)
    );
  };
  return { task, finish: resolve, fail: reject };
}

/** Lets every promise that can go on do so. */
async function settle(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(() => resolve()));
}

Deno.test("a newer task ends the older one first, and waiting callers wait for it", async () => {
  const notes: string[] = [];
  const newest = new NewestTask();
  const [a, b] = [held("a", notes), held("b", notes)];
  const first = newest.run(a.task, never).then(() => notes.push("first knows"));
  await settle();
  const second = newest.run(b.task, never);
  await settle();
  assertEquals(notes, ["a begins", "a is ended", "b begins"]);
  b.finish();
  await Promise.all([first, second, newest.settled]);
  assertEquals(notes.slice(3), ["b is done", "first knows"]);
});

Deno.test("of three the one in the middle never begins", async () => {
  const notes: string[] = [];
  const newest = new NewestTask();
  const [a, b, c] = ["a", "b", "c"].map((name) => held(name, notes));
  const runs = [a, b, c].map((each) => newest.run(each!.task, never));
  c!.finish();
  await Promise.all(runs);
  assertEquals(notes, ["c begins", "c is done"]);
});

Deno.test("what the newest one throws, all who wait get, and the next one is not hindered", async () => {
  const notes: string[] = [];
  const newest = new NewestTask();
  const [a, b] = [held("a", notes), held("b", notes)];
  const runs = [newest.run(a.task, never), newest.run(b.task, never)];
  b.fail(new TypeError("broken"));
  for (const run of runs) await assertRejects(() => run, TypeError, "broken");
  await newest.run(() => Promise.resolve(), never);
});

Deno.test("an aborted signal ends a task with its reason", async () => {
  const ending = new AbortController();
  const newest = new NewestTask();
  const run = newest.run(held("a", []).task, ending.signal);
  await settle();
  ending.abort(new DOMException("SIGTERM", "AbortError"));
  await assertRejects(() => run, DOMException, "SIGTERM");
});
