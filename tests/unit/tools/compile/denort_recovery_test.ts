import { assertEquals, assertRejects } from "@std/assert";
import {
  recoverRuntime,
  RecoveryError,
} from "../../../../tools/compile/denort_recovery.ts";

Deno.test("nothing is made from npm for another target, and nothing is left", async () => {
  const cache = await Deno.makeTempDir();
  const target = "aarch64-unknown-linux-gnu";
  await assertRejects(
    () => recoverRuntime(target, cache, new AbortController().signal),
    RecoveryError,
    target,
  );
  assertEquals([...Deno.readDirSync(cache)], []);
  await Deno.remove(cache);
});
