import { assertEquals, assertStringIncludes } from "@std/assert";
import { describeStatus } from "../../../../agent/status/status_line.ts";
import { StatusReporter } from "../../../../agent/status/status_reporter.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { bringUp, newAgentState } from "../../../support/agent_state.ts";

Deno.test("the line names what the agent waits for, then the network, then the warnings", async () => {
  const clock = new FakeClock();
  const state = newAgentState(clock);
  state.enter("reading-config");
  assertEquals(describeStatus(state.summary()), "reading config");
  state.waitFor("config", "etcd is away");
  assertEquals(
    describeStatus(state.summary()),
    "reading config: waiting: etcd is away",
  );
  bringUp(state);
  state.raise("lease.not-held", "lease is degraded\nbecause");
  await clock.advance(5_000);
  assertEquals(
    describeStatus(state.summary()),
    "10.1.5.0/24, 1 peer, udp (tun); lease is degraded because",
  );
  state.enter("stopping");
  assertEquals(describeStatus(state.summary()), "stopping");
});

Deno.test("several changes of one moment are one STATUS", async () => {
  const state = newAgentState();
  const lines: string[] = [];
  const clock = new FakeClock();
  const reporter = new StatusReporter(state, {
    status: (line) => lines.push(line) > 0,
  }, clock);
  reporter.start();
  state.enter("reading-config");
  state.waitFor("config", "etcd is away");
  await clock.advance(100);
  assertEquals(lines, ["reading config: waiting: etcd is away"]);
  state.enter("running");
  reporter.stop();
  await clock.advance(100);
  assertEquals(lines.length, 1);
  assertEquals(clock.sleepers, 0);
});

Deno.test("a status that the service manager could not receive is sent a second later, with the state of that time", async () => {
  const state = newAgentState();
  const lines: string[] = [];
  const clock = new FakeClock();
  let busy = true;
  const reporter = new StatusReporter(state, {
    status(line) {
      if (!busy) lines.push(line);
      return !busy;
    },
  }, clock);
  reporter.start();
  state.enter("reading-config");
  await clock.advance(100);
  state.enter("acquiring-lease");
  busy = false;
  await clock.advance(999);
  assertEquals(lines, []);
  await clock.advance(1);
  assertEquals(lines, ["acquiring lease"]);
  reporter.stop();
});

Deno.test("STATUS has a warning as soon as it is to be seen, and no consequence", async () => {
  const clock = new FakeClock();
  const state = bringUp(newAgentState(clock));
  const lines: string[] = [];
  const reporter = new StatusReporter(state, {
    status: (line) => lines.push(line) > 0,
  }, clock);
  reporter.start();
  state.raise("etcd.unavailable", "etcd is away");
  state.raise("lease.not-held", "lease is degraded");
  await clock.advance(4_900);
  assertEquals(lines.map((line) => line.includes("away")), [false]);
  await clock.advance(200);
  assertEquals(lines[1], "10.1.5.0/24, 1 peer, udp (tun); etcd is away");
  reporter.stop();
  await clock.advance(100);
  assertEquals(clock.sleepers, 0);
});

Deno.test("a data path that the kernel goes on with is not called down", () => {
  const state = bringUp(newAgentState());
  state.attach({ backend: () => undefined });
  assertStringIncludes(describeStatus(state.summary()), "data path down");
  state.raise("data-path.unattended", "the packet socket is gone");
  assertStringIncludes(
    describeStatus(state.summary()),
    "data path in the kernel alone; the packet socket is gone",
  );
});

Deno.test("a reason is new only if it has changed", () => {
  const state = newAgentState();
  assertEquals(state.waitFor("config", "a"), true);
  assertEquals(state.waitFor("config", "a"), false);
  assertEquals(state.waitFor("config", "b"), true);
  assertEquals(state.waitFor("underlay", "c"), true);
  assertEquals(state.waitFor("config", "b"), false);
  assertEquals(state.snapshot().waitingFor, "b; c");
  state.stopWaitingFor("config");
  assertEquals(state.snapshot().waitingFor, "c");
  state.enter("finding-underlay");
  assertEquals(state.snapshot().waitingFor, null);
  assertEquals(state.waitFor("config", "b"), true);
});
