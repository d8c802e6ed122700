import { assertEquals, assertRejects } from "@std/assert";
import {
  recoveredRuntimeOf,
  recoverRuntime,
  RecoveryError,
} from "../../../../tools/compile/denort_recovery.ts";

Deno.test("nothing is made from npm for another target, and nothing is left", async () => {
  const cache = await Deno.makeTempDir();
  const target = "x86_64-pc-windows-msvc";
  await assertRejects(
    () => recoverRuntime(target, cache, new AbortController().signal),
    RecoveryError,
    target,
  );
  assertEquals([...Deno.readDirSync(cache)], []);
  await Deno.remove(cache);
});

Deno.test("a program that begins with no recovered runtime has none", async () => {
  assertEquals(await recoveredRuntimeOf("/bin/true"), undefined);
});
