import { assertEquals, assertRejects } from "@std/assert";
import { TaskQueue } from "../../../linux/task_queue.ts";

Deno.test("tasks run one after the other, in the order of the calls", async () => {
  const queue = new TaskQueue();
  const events: string[] = [];
  const first = Promise.withResolvers<void>();
  const one = queue.run(async () => {
    events.push("one begins");
    await first.promise;
    events.push("one ends");
    return 1;
  });
  const two = queue.run(() => {
    events.push("two");
    return 2;
  });
  first.resolve();
  assertEquals(await Promise.all([two, one]), [2, 1]);
  assertEquals(events, ["one begins", "one ends", "two"]);
});

Deno.test("a task that fails tells its caller, and the next one runs", async () => {
  const queue = new TaskQueue();
  const failed = queue.run(() => {
    throw new Error("refused");
  });
  const next = queue.run(() => "done");
  await assertRejects(() => failed, Error, "refused");
  assertEquals(await next, "done");
});

Deno.test("a queue is idle when the tasks so far have ended, however they ended", async () => {
  const queue = new TaskQueue();
  await queue.idle;
  let ended = false;
  const failed = queue.run(async () => {
    await Promise.resolve();
    ended = true;
    throw new Error("refused");
  });
  failed.catch(() => {});
  await queue.idle;
  assertEquals(ended, true);
});
