import { assertEquals, assertRejects } from "@std/assert";
import { attempt, CommandError, run } from "../../../tools/command.ts";

Deno.test("a program's output is returned, its input given", async () => {
  assertEquals(await run(["cat"], { stdin: "hello" }), "hello");
});

Deno.test("a failing program's error names it, its code and what it said", async () => {
  const error = await assertRejects(
    () => run(["sh", "-c", "echo no >&2; exit 3"]),
    CommandError,
    "exit code must be 0: current value is 3: no",
  );
  assertEquals(error.exitCode, 3);
});

Deno.test("a failing program is no error where any code will do", async () => {
  const result = await attempt(["sh", "-c", "echo out; exit 3"]);
  assertEquals(result, { exitCode: 3, stdout: "out\n", stderr: "" });
});

Deno.test("a program that ends without reading its input fails by its own code", async () => {
  const input = "x".repeat(1 << 20);
  const { exitCode } = await attempt(["sh", "-c", "exit 4"], { stdin: input });
  assertEquals(exitCode, 4);
});

Deno.test("an abort ends the program and rejects with the reason", async () => {
  const reason = new Error("enough");
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 30);
  const error = await assertRejects(() =>
    run(["sleep", "10"], { signal: controller.signal })
  );
  assertEquals(error, reason);
});
