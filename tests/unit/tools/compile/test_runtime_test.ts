import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  findTestRuntime,
  type RuntimeSources,
} from "../../../../tools/compile/test_runtime.ts";

const signal = new AbortController().signal;
const TARGET = "aarch64-unknown-linux-gnu";

async function found(sources: Partial<RuntimeSources>) {
  const lines: string[] = [];
  const report = (line: string) => lines.push(line);
  const kind = await findTestRuntime(TARGET, report, signal, {
    isCached: () => Promise.resolve(false),
    isOffered: () => Promise.resolve(false),
    ...sources,
  });
  return { kind, lines };
}

Deno.test("tests compile with the official runtime where Deno's cache or its site has it", async () => {
  const yes = () => Promise.resolve(true);
  for (const sources of [{ isCached: yes }, { isOffered: yes }]) {
    assertEquals(await found(sources), { kind: "official", lines: [] });
  }
});

Deno.test("tests that compile with the recovered runtime say so, and why", async () => {
  const missing = await found({});
  assertEquals(missing.kind, "recovered");
  assertMatch(
    missing.lines.join("\n"),
    /^https:\/\/dl\.deno\.land does not have release\/v[\d.]+\/denort-aarch64-unknown-linux-gnu\.zip: compiling with --runtime=recovered$/,
  );
  const { kind, lines } = await found({
    isOffered: () => Promise.reject(new TypeError("no route")),
  });
  assertEquals([kind, lines], ["recovered", [
    "https://dl.deno.land does not answer (no route): compiling with " +
    "--runtime=recovered",
  ]]);
});

Deno.test("an abort is none of these", async () => {
  await assertRejects(
    () =>
      findTestRuntime(TARGET, () => {}, AbortSignal.abort(new Error("stop")), {
        isCached: () => Promise.resolve(false),
        isOffered: (_, signal) => Promise.reject(signal.reason),
      }),
    Error,
    "stop",
  );
});
