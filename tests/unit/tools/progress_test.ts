import { assertEquals, assertRejects } from "@std/assert";
import { Progress } from "../../../tools/progress.ts";

function fixture() {
  let written = "";
  let now = 0;
  const progress = new Progress((text) => written += text, () => now);
  return {
    progress,
    advance: (milliseconds: number) => now += milliseconds,
    written: () => written,
  };
}

Deno.test("a step is one line, which is there before it ends", async () => {
  const { advance, progress, written } = fixture();
  const result = await progress.step("etcd", () => {
    assertEquals(written(), "  etcd …");
    advance(1_250);
    return 7;
  });
  assertEquals(result, 7);
  assertEquals(written(), "  etcd … 1.3 s\n");
});

Deno.test("a note does not cut the line of its step", async () => {
  const { progress, written } = fixture();
  await progress.step("apt", () => progress.note("update"));
  assertEquals(written(), "  apt …\n    update\n  apt: done, 0.0 s\n");
});

Deno.test("what is printed after a failed step begins a line", async () => {
  const { progress, written } = fixture();
  await assertRejects(() =>
    progress.step("etcd", () => Promise.reject(new Error("no")))
  );
  progress.print("failed");
  assertEquals(written(), "  etcd …\nfailed\n");
});
