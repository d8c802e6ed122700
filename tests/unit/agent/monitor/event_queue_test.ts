import { assertEquals } from "@std/assert";
import { EventQueue } from "../../../../agent/monitor/event_queue.ts";

const lossLine = (count: number) => `lost ${count}`;
const queueOf = (limits: { lines?: number; characters?: number } = {}) =>
  new EventQueue(lossLine, { lines: 3, characters: 100, ...limits });

Deno.test("lines come in order, several at once", async () => {
  const queue = queueOf();
  queue.push("a");
  queue.push("b");
  assertEquals(await queue.next(), "a\nb\n");
});

Deno.test("a listener waits for the next line", async () => {
  const queue = queueOf();
  const next = queue.next();
  queue.push("a");
  assertEquals(await next, "a\n");
});

Deno.test("a listener that does not read loses what has no room, and is told how much once it reads", async () => {
  const queue = queueOf();
  for (const line of ["a", "b", "c", "d", "e"]) queue.push(line);
  assertEquals(await queue.next(), "a\nb\nc\n");
  assertEquals(await queue.next(), "lost 2\n");
  queue.push("f");
  assertEquals(await queue.next(), "f\n");
});

Deno.test("what comes before the loss was told is lost too, so that the order is kept", async () => {
  const queue = queueOf();
  for (const line of ["a", "b", "c", "d"]) queue.push(line);
  assertEquals(await queue.next(), "a\nb\nc\n");
  queue.push("e");
  assertEquals(await queue.next(), "lost 2\n");
});

Deno.test("few long lines fill it as well", async () => {
  const queue = queueOf({ characters: 10 });
  queue.push("123456");
  queue.push("12345");
  queue.push("1");
  assertEquals(await queue.next(), "123456\n");
  assertEquals(await queue.next(), "lost 2\n");
  queue.push("1234567890");
  assertEquals(await queue.next(), "1234567890\n");
});

Deno.test("a line that never has room is lost, and a listener that waits is told at once", async () => {
  const queue = queueOf({ characters: 10 });
  const next = queue.next();
  queue.push("12345678901");
  assertEquals(await next, "lost 1\n");
});

Deno.test("a closed queue ends after what is in it, and takes nothing more", async () => {
  const queue = queueOf();
  queue.push("a");
  queue.close();
  queue.push("b");
  assertEquals(await queue.next(), "a\n");
  assertEquals(await queue.next(), undefined);
});

Deno.test("a listener that waits learns of the end", async () => {
  const queue = queueOf();
  const next = queue.next();
  queue.close();
  assertEquals(await next, undefined);
});
