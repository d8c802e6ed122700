import { assertEquals } from "@std/assert";
import { AgentState } from "../../../../agent/status/state.ts";
import { feedWatchdog } from "../../../../agent/status/watchdog.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { CapturedLogs } from "../../../support/capture_logs.ts";

const TIMEOUT_MS = 30_000;

function fed() {
  const clock = new FakeClock();
  const state = new AgentState({
    version: "0.1.0",
    pid: 1,
    instance: "test",
    etcdPrefix: "/coreos.com/network",
    etcdEndpoints: [],
  }, clock);
  const ending = new AbortController();
  const signs: number[] = [];
  const ended = feedWatchdog(TIMEOUT_MS, {
    state,
    notifier: { watchdog: () => signs.push(clock.monotonic()) },
    clock,
  }, ending.signal);
  return { clock, state, ending, signs, ended };
}

Deno.test("an agent that is well gives more than one sign within each timeout", async () => {
  const { clock, ending, signs, ended } = fed();
  await clock.advance(TIMEOUT_MS);
  assertEquals(signs, [0, 10_000, 20_000, 30_000]);
  ending.abort();
  await ended;
});

Deno.test("a data path that is down gets no sign, and one again when it is up", async () => {
  const { clock, state, ending, signs, ended } = fed();
  using logs = new CapturedLogs();
  await clock.advance(10_000);
  state.raise("data-path.down", "the worker has died");
  await clock.advance(20_000);
  assertEquals(signs, [0, 10_000]);
  state.clear("data-path.down");
  await clock.advance(10_000);
  assertEquals(signs, [0, 10_000, 40_000]);
  // Said once, not with every sign that is left out.
  assertEquals(
    logs.events("systemd.watchdog-withheld").map(({ warnings }) => warnings),
    [["data-path.down"]],
  );
  ending.abort();
  await ended;
});

Deno.test("an etcd that is away is no reason to restart the agent", async () => {
  const { clock, state, ending, signs, ended } = fed();
  state.raise("etcd.unavailable", "connection refused");
  await clock.advance(20_000);
  assertEquals(signs.length, 3);
  ending.abort();
  await ended;
});
