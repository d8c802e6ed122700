import { assertEquals, assertRejects } from "@std/assert";
import type { Check, DoctorHost } from "../../../../commands/doctor/check.ts";
import type { Finding, Severity } from "../../../../commands/doctor/finding.ts";
import { runChecks } from "../../../../commands/doctor/run_checks.ts";
import { LodenError } from "../../../../errors.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";

const HOST = {} as DoctorHost;

function fact(severity: Severity, what: string): Finding {
  return { code: "kernel.tun", severity, what, value: "" };
}

function check(name: string, run: Check["run"]): Check {
  return { name, run };
}

function run(
  checks: readonly Check[],
  clock: FakeClock,
  waited: string[] = [],
) {
  return runChecks(checks, HOST, {
    clock,
    limitMs: 2_500,
    onWaiting: (names) => waited.push(names.join(" ")),
  });
}

Deno.test("the worst findings come last, else in the checks' order", async () => {
  const found = await run([
    check("a", () => [fact("problem", "a1"), fact("ok", "a2")]),
    check("b", () => [fact("note", "b1"), fact("problem", "b2")]),
    check("c", () => [fact("warning", "c1"), fact("ok", "c2")]),
  ], new FakeClock());
  assertEquals(found.map(({ what }) => what), [
    "a2",
    "c2",
    "b1",
    "c1",
    "a1",
    "b2",
  ]);
});

Deno.test("a check that hangs is told to end, is what remains to wait for, and is a warning", async () => {
  const clock = new FakeClock();
  const waited: string[] = [];
  let ended = false;
  const hanging = check("etcd", (_, signal) => {
    signal.addEventListener("abort", () => ended = true);
    return new Promise(() => {});
  });
  const found = run(
    [check("a", () => [fact("ok", "a")]), hanging],
    clock,
    waited,
  );
  await clock.advance(1_000);
  assertEquals(waited, ["a etcd", "etcd"]);
  await clock.advance(1_500);
  const [ok, late] = await found;
  assertEquals(ok!.what, "a");
  assertEquals([late!.code, late!.severity, late!.what], [
    "doctor.late",
    "warning",
    "etcd",
  ]);
  assertEquals(ended, true);
});

Deno.test("a check may say itself what it means to be late", async () => {
  const clock = new FakeClock();
  const found = run([{
    name: "etcd",
    run: () => new Promise(() => {}),
    late: () => [fact("problem", "etcd")],
  }], clock);
  await clock.advance(2_500);
  assertEquals((await found).map(({ what }) => what), ["etcd"]);
});

Deno.test("what the host refuses is a warning of its check; the others go on", async () => {
  const refused = new LodenError("linux.EPERM", "Cannot look: EPERM");
  const found = await run([
    check("a", () => Promise.reject(refused)),
    check("b", () => {
      throw Object.assign(new Error("no such file"), { code: "ENOENT" });
    }),
    check("c", () => [fact("ok", "c")]),
  ], new FakeClock());
  assertEquals(found.map(({ code, value }) => [code, value]), [
    ["kernel.tun", ""],
    ["doctor.failed", "not known: Cannot look: EPERM"],
    ["doctor.failed", "not known: no such file"],
  ]);
});

Deno.test("a bug in a check is not hidden", async () => {
  await assertRejects(
    () =>
      run([
        check("a", () => {
          throw new TypeError("a bug");
        }),
      ], new FakeClock()),
    TypeError,
    "a bug",
  );
});
