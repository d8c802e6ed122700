import { assertEquals, assertStringIncludes } from "@std/assert";
import { AgentState } from "../../../../agent/status/state.ts";
import { describeStatus } from "../../../../agent/status/status_line.ts";
import { StatusReporter } from "../../../../agent/status/status_reporter.ts";
import { renderStatus } from "../../../../commands/status_text.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";

function agentState(clock = new FakeClock()): AgentState {
  return new AgentState({
    version: "0.1.0",
    pid: 4711,
    instance: "a",
    etcdPrefix: "/a",
    etcdEndpoints: ["http://192.0.2.1:2379"],
  }, clock);
}

function ready(state: AgentState): AgentState {
  state.set({
    ready: true,
    network: "10.1.0.0/16",
    subnet: "10.1.5.0/24",
    underlay: {
      interface: "eth0",
      address: "10.0.0.5",
      publicIp: "192.0.2.11",
      mtuBytes: 1500,
    },
    overlay: { device: "flannel0", mtuBytes: 1472 },
    files: [{ path: "/run/x", written: true }, {
      path: "/run/y",
      written: false,
    }],
  });
  state.attach({
    backend: () => ({
      type: "udp",
      dataPath: "tun",
      reason: "the only one",
      details: { "receive on eth0": "direct", "attached by": "tcx" },
      device: "flannel0",
      peers: 1,
      counters: { "tx.packets": 3, "rx.drop.ttl": 0 },
    }),
    backendRestarts: () => 2,
    peerCount: () => 2,
    peers: () => [{
      subnet: "10.1.6.0/24",
      publicIp: "192.0.2.12",
      backendType: "udp",
      dataPath: "ebpf",
      confirmed: "2026-01-01T00:00:00.000Z",
      stale: true,
      since: "2026-01-01T03:00:00.000Z",
    }],
  });
  state.enter("running");
  return state;
}

Deno.test("the line names what the agent waits for, then the network, then the warnings", async () => {
  const clock = new FakeClock();
  const state = agentState(clock);
  state.enter("reading-config");
  assertEquals(describeStatus(state.summary()), "reading config");
  state.waitFor("config", "etcd is away");
  assertEquals(
    describeStatus(state.summary()),
    "reading config: waiting: etcd is away",
  );
  ready(state);
  state.raise("lease.not-held", "lease is degraded\nbecause");
  await clock.advance(5_000);
  assertEquals(
    describeStatus(state.summary()),
    "10.1.5.0/24, 2 peers, udp (tun); lease is degraded because",
  );
  state.enter("stopping");
  assertEquals(describeStatus(state.summary()), "stopping");
});

Deno.test("several changes of one moment are one STATUS", async () => {
  const state = agentState();
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
  const state = agentState();
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
  const state = ready(agentState(clock));
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
  assertEquals(lines[1], "10.1.5.0/24, 2 peers, udp (tun); etcd is away");
  reporter.stop();
  await clock.advance(100);
  assertEquals(clock.sleepers, 0);
});

Deno.test("a data path that the kernel goes on with is not called down", () => {
  const state = ready(agentState());
  state.attach({ backend: () => undefined });
  assertStringIncludes(describeStatus(state.summary()), "data path down");
  assertStringIncludes(
    renderStatus(state.snapshot()),
    "data path  down, restarted 2 times\n",
  );
  state.raise("data-path.unattended", "the packet socket is gone");
  assertStringIncludes(
    describeStatus(state.summary()),
    "data path in the kernel alone; the packet socket is gone",
  );
  assertStringIncludes(
    renderStatus(state.snapshot()),
    "data path  in the kernel alone, restarted 2 times\n",
  );
});

Deno.test("a reason is new only if it has changed", () => {
  const state = agentState();
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

Deno.test("the text for people has every fact, and counters that count", () => {
  const nowMs = Date.UTC(2026, 0, 1, 5);
  const text = renderStatus(ready(agentState()).snapshot(), nowMs);
  for (
    const part of [
      "network    10.1.0.0/16  this host 10.1.5.0/24",
      "ready, running since 2026-01-01T00:00:00.000Z",
      "eth0 10.0.0.5, public 192.0.2.11, MTU 1500",
      "flannel0, MTU 1472",
      "udp, tun (the only one), restarted 2 times",
      "\n           receive on eth0: direct\n           attached by: tcx\n",
      "192.0.2.12      udp (ebpf), confirmed 5 h ago  stale",
      "/run/x, /run/y (NOT WRITTEN)",
      "0.1.0, process 4711",
      "stale: its key is gone",
      "tx.packets  3",
    ]
  ) assertStringIncludes(text, part);
  assertEquals(text.includes("rx.drop.ttl"), false);
});

Deno.test("a data path that has not been reached yet is not called down", () => {
  const state = agentState();
  assertStringIncludes(
    renderStatus(state.snapshot()),
    "data path  not started yet\n",
  );
  state.set({ ready: true });
  assertStringIncludes(renderStatus(state.snapshot()), "data path  down\n");
});

Deno.test("what etcd holds cannot talk to the terminal", () => {
  const state = ready(agentState());
  state.attach({
    peers: () => [{
      subnet: "10.1.6.0/24",
      publicIp: "192.0.2.12",
      backendType: "\x1b]0;owned\x07\n",
      dataPath: null,
      confirmed: null,
      stale: false,
      since: null,
    }],
  });
  const text = renderStatus(state.snapshot());
  assertStringIncludes(text, "?]0;owned??");
});
