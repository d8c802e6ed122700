import { assertEquals, assertRejects } from "@std/assert";
import {
  gather,
  outputs,
  type Part,
} from "../../../../commands/bundle/gather.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeCommandRunner } from "../../../fakes/fake_command_runner.ts";

function part(file: string, gather: Part["gather"]): Part {
  return { file, about: "", gather };
}

function gathering(parts: readonly Part[]) {
  const clock = new FakeClock();
  const ending = new AbortController();
  const waits: string[] = [];
  const result = gather(parts, {
    clock,
    limitMs: 10_000,
    signal: ending.signal,
    onWait: (files) => waits.push(files.join()),
  });
  result.catch(() => {});
  return { clock, ending, result, waits };
}

Deno.test("a part that hangs and one that fails are notes, and the rest is gathered", async () => {
  const { clock, result } = gathering([
    part("a", () => new Promise(() => {})),
    part("b", () => {
      throw new Error("no right");
    }),
    part("c", () => ({ text: "c" })),
    part("d", () => Promise.resolve({ text: "d", missing: ["half of it"] })),
    part("e", () => ({ text: "e" })),
  ]);
  await clock.advance(10_000);
  const parts = await result;
  assertEquals(parts.map(({ file, missing, text }) => [file, text, missing]), [
    ["a", undefined, ["not gathered within 10 seconds"]],
    ["b", undefined, ["no right"]],
    ["c", "c", []],
    ["d", "d", ["half of it"]],
    ["e", "e", []],
  ]);
  assertEquals(parts[0]!.milliseconds, 10_000);
  assertEquals(clock.sleepers, 0);
});

Deno.test("an interruption ends the gathering at once, also of a part that hangs", async () => {
  const { ending, result } = gathering([
    part("a", () => new Promise(() => {})),
  ]);
  ending.abort(new Error("Ctrl-C"));
  await assertRejects(() => result, Error, "Ctrl-C");
});

Deno.test("who waits is told for what", async () => {
  const { result, waits } = gathering(
    ["a", "b"].map((file) => part(file, () => ({ text: "" }))),
  );
  await result;
  assertEquals(waits[0], "a");
  assertEquals(waits.at(-1), "");
});

Deno.test("outputs stand below their command lines; a program that is missing or fails is a note", async () => {
  const runner = new FakeCommandRunner({
    ip: () => ({ stdout: "1: lo\n" }),
    nft: () => ({ code: 1, stderr: "Operation not permitted\nmore\n" }),
  });
  const { missing, text } = await outputs(
    runner,
    ["ip link", "bridge fdb", "nft list ruleset"],
    new AbortController().signal,
  );
  assertEquals(
    text,
    "$ ip link\n1: lo\n\n$ nft list ruleset\nOperation not permitted\nmore\n",
  );
  assertEquals(missing, [
    "bridge: there is no such program",
    "nft list: exit code 1: Operation not permitted",
  ]);
});
