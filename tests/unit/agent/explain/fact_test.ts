import { assertEquals, assertRejects } from "@std/assert";
import { asyncFactOf, seen, unseen } from "../../../../agent/explain/fact.ts";
import { LodenError } from "../../../../errors.ts";

const fails = (error: unknown) => asyncFactOf(() => Promise.reject(error));

Deno.test("a fact that cannot be seen says why, and a defect is thrown", async () => {
  assertEquals(await asyncFactOf(() => Promise.resolve(1)), seen(1));
  assertEquals(
    await fails(new LodenError("some.code", "Cannot look")),
    unseen("Cannot look"),
  );
  await assertRejects(() => fails(new TypeError("a defect")), TypeError);
});

Deno.test("what does not come before the limit took too long", async () => {
  const late = new AbortController();
  late.abort(new DOMException("Signal timed out.", "TimeoutError"));
  assertEquals(await fails(late.signal.reason), unseen("it took too long"));
});
