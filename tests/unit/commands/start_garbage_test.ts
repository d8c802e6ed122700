import { assert } from "@std/assert";
import { memoryUsage } from "node:process";
import { collectStartGarbage } from "../../../commands/start_garbage.ts";

Deno.test("what nobody needs any more is given back", async () => {
  let garbage: unknown[] | undefined = Array.from(
    { length: 200_000 },
    (_, index) => ({ index, text: `number ${index}` }),
  );
  // V8 must not see that nobody reads it.
  assert(garbage.length > 0);
  const before = memoryUsage().heapUsed;
  garbage = undefined;
  await collectStartGarbage();
  const freedBytes = before - memoryUsage().heapUsed;
  assert(freedBytes > 5_000_000, `${freedBytes} bytes were freed`);
});
