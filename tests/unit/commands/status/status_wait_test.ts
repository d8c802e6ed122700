import { assertEquals, assertThrows } from "@std/assert";
import {
  AgentAccessError,
  AgentNotRunningError,
} from "../../../../agent/errors.ts";
import { UsageError } from "../../../../config/errors.ts";
import type { Sight } from "../../../../commands/status/status_check.ts";
import {
  readDurationMs,
  waitForStatus,
  type WaitOptions,
} from "../../../../commands/status/status_wait.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeCommandIo } from "../../../fakes/fake_command_io.ts";
import { bringUp, newAgentState } from "../../../support/agent_state.ts";

const ABSENT = { failure: new AgentNotRunningError("/run/a.sock") };
const STARTING = (() => {
  const state = newAgentState();
  state.waitFor("lease", "the pool is full");
  return { status: state.snapshot() };
})();
const UP = { status: bringUp(newAgentState()).snapshot() };

/** Looks every half second; the last sight stays. */
async function waits(sights: Sight[], options: Partial<WaitOptions> = {}) {
  const clock = new FakeClock();
  const io = new FakeCommandIo();
  const begin = clock.monotonic();
  let looks = 0;
  const waiting = waitForStatus(
    io,
    clock,
    () => Promise.resolve(sights[Math.min(looks++, sights.length - 1)]!),
    { limitMs: 10_000, checkName: undefined, ...options },
  ).then((sight) => ({ sight, afterMs: clock.monotonic() - begin }));
  await clock.settle();
  while (clock.sleepers > 0) await clock.advance(100);
  return { ...await waiting, said: io.err };
}

Deno.test("a wait ends when the agent is ready, and says nothing if that is soon", async () => {
  assertEquals(await waits([ABSENT, UP]), {
    sight: UP,
    afterMs: 500,
    said: "",
  });
});

Deno.test("a wait of more than a second says what for, once for each reason", async () => {
  const sights = [...Array(4).fill(ABSENT), ...Array(4).fill(STARTING), UP];
  const { said } = await waits(sights);
  assertEquals(
    said,
    "loden: waiting: Cannot ask the agent: nothing answers on /run/a.sock " +
      "(start the agent, or give the --etcd-prefix and --run-dir that it uses)\n" +
      "loden: waiting: starting: waiting: the pool is full\n",
  );
});

Deno.test("a wait ends at its limit with what was seen last", async () => {
  const { afterMs, sight } = await waits([STARTING], { limitMs: 2_700 });
  assertEquals([afterMs, sight], [2_700, STARTING]);
  assertEquals((await waits([ABSENT], { limitMs: 0 })).afterMs, 0);
});

Deno.test("a wait for a check goes on until the check succeeds", async () => {
  const state = bringUp(newAgentState());
  state.raise("data-path.down", "it is gone");
  const down = { status: state.snapshot() };
  const { afterMs, sight } = await waits([down, down, down, down, UP], {
    checkName: "live",
  });
  assertEquals([afterMs, sight], [2_000, UP]);
});

Deno.test("a wait ends at once if this user may not ask the agent", async () => {
  const closed = { failure: new AgentAccessError("/run/a.sock", undefined) };
  assertEquals((await waits([closed, UP])).sight, closed);
});

Deno.test("a duration has hours, minutes and seconds", () => {
  const good: Record<string, number> = {
    "90s": 90_000,
    "5m": 300_000,
    "1h30m": 5_400_000,
    "0s": 0,
  };
  for (const [text, ms] of Object.entries(good)) {
    assertEquals(readDurationMs(text), ms, text);
  }
  for (const text of ["", "5", "m", "5 m", "-5m", "5m1h", "1.5h", "1e3s"]) {
    assertThrows(() => readDurationMs(text), UsageError, "--wait");
  }
});
