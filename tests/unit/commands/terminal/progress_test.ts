import { assertEquals } from "@std/assert";
import { Progress } from "../../../../commands/terminal/progress.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeCommandIo } from "../../../fakes/fake_command_io.ts";

const ERASE = "\r\x1b[K";

function begin(columns?: number) {
  const clock = new FakeClock();
  const io = new FakeCommandIo();
  if (columns !== undefined) {
    io.errorScreen = { columns, rows: 24, colors: false };
  }
  const progress = new Progress(io, clock);
  /** What it has written since the last call. */
  const said = async (advanceMs: number) => {
    io.err = "";
    await clock.advance(advanceMs);
    return io.err;
  };
  return { clock, io, progress, said };
}

Deno.test("what takes less than a second is not worth a line", async () => {
  const { clock, progress, said } = begin();
  progress.say("waiting for a");
  assertEquals(await said(900), "");
  progress.say("waiting for b");
  assertEquals(await said(900), "");
  progress[Symbol.dispose]();
  assertEquals(await said(9_000), "");
  assertEquals(clock.sleepers, 0);
});

Deno.test("in a pipe, what takes longer is one plain line, once", async () => {
  const { progress, said } = begin();
  progress.say("waiting for a\x1b[31m");
  assertEquals(await said(1_000), "loden: waiting for a?[31m\n");
  progress.say("waiting for a\x1b[31m");
  assertEquals(await said(60_000), "");
  progress.say("waiting for b");
  assertEquals(await said(1_000), "loden: waiting for b\n");
  progress[Symbol.dispose]();
});

Deno.test("on a terminal, one line changes in place and disappears at the end", async () => {
  const { io, progress, said } = begin(80);
  progress.say("waiting for a");
  assertEquals(await said(1_000), `${ERASE}loden: waiting for a (1 s)`);
  assertEquals(await said(1_000), `${ERASE}loden: waiting for a (2 s)`);
  io.err = "";
  progress.say("waiting for b");
  assertEquals(io.err, `${ERASE}loden: waiting for b (0 s)`);
  io.err = "";
  progress.say(undefined);
  assertEquals(io.err, ERASE);
  assertEquals(await said(5_000), "");
});

Deno.test("the line is never as wide as the terminal, which would break it", async () => {
  const { progress, said } = begin(40);
  progress.say(`waiting for etcd: ${"x".repeat(100)}`);
  const shown = (await said(1_000)).slice(ERASE.length);
  assertEquals(shown, `loden: waiting for etcd: xxxxxxx… (1 s)`);
  assertEquals(shown.length, 39);
  progress[Symbol.dispose]();
});

Deno.test("other output has the line to itself, and the wait comes back", async () => {
  const { io, progress, said } = begin(80);
  progress.say("removing a");
  await said(1_000);
  io.err = "";
  progress.erase();
  assertEquals(io.err, ERASE);
  assertEquals(await said(1_000), `${ERASE}loden: removing a (2 s)`);
  progress[Symbol.dispose]();
});
