import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { getColorEnabled, setColorEnabled } from "@std/fmt/colors";
import type { StatusSnapshot } from "../../../../agent/status/status_snapshot.ts";
import { renderStatus } from "../../../../commands/status/status_text.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { bringUp, newAgentState, PEER } from "../../../support/agent_state.ts";

const nowMs = Date.UTC(2026, 0, 1, 5);
const NARROW = { columns: 40, rows: 24, colors: false };

function running(peers = [PEER]): StatusSnapshot {
  return bringUp(newAgentState(), peers).snapshot();
}

/** What stands below the counters. */
function ending(text: string): string {
  return text.split("tx.packets  3\n")[1]!;
}

Deno.test("the text for people has every fact, and counters that count", () => {
  const text = renderStatus(running(), { nowMs });
  for (
    const part of [
      "network    10.1.0.0/16  this host 10.1.5.0/24",
      "ready, running since 2026-01-01T00:00:00.000Z",
      "eth0 10.0.0.5, public 192.0.2.11, MTU 1500",
      "flannel0, MTU 1472",
      "udp, tun (the only one), restarted 2 times",
      "\n           receive on eth0: direct\n           attached by: tcx\n",
      "/run/x, /run/y (NOT WRITTEN)",
      "0.1.0, process 4711",
      "tx.packets  3",
    ]
  ) assertStringIncludes(text, part);
  assertEquals(text.includes("rx.drop.ttl"), false);
  assertEquals(ending(text), "no warnings\n");
});

Deno.test("peers are a table with their backends and ages", () => {
  const flannel = {
    ...PEER,
    subnet: "10.1.170.0/24",
    publicIp: "192.0.2.113",
    dataPath: null,
    stale: true,
    confirmed: "2026-01-01T04:59:57.000Z",
    since: null,
    probe: null,
  };
  const text = renderStatus(running([PEER, flannel]), { nowMs });
  assertStringIncludes(
    text,
    `peers (2):
  SUBNET         HOST         SINCE  BACKEND     PROBE   CONFIRMED
  10.1.6.0/24    192.0.2.12   3 h    udp (ebpf)  0.3 ms  3 h ago
  10.1.170.0/24  192.0.2.113  -      udp         -       3 s ago    stale: its key is gone
`,
  );
});

Deno.test("a probe that found something is shown with it", () => {
  const probe = PEER.probe!;
  const shown = (changes: Partial<typeof probe>) => {
    const peers = [{ ...PEER, probe: { ...probe, ...changes } }];
    const text = renderStatus(running(peers), { nowMs });
    return /udp \(ebpf\) {2}(.*?) {2,}3 h ago/.exec(text)![1];
  };
  assertEquals(shown({ way: "icmp" }), "0.3 ms, ICMP");
  assertEquals(
    shown({ lossRatio: 0.125, mtuBytes: 1_400 }),
    "0.3 ms, 13 % lost, MTU 1400",
  );
  assertEquals(
    shown({ state: "unreachable", lastAnswer: "2026-01-01T04:00:00.000Z" }),
    "unreachable, answered 60 min ago",
  );
  assertEquals(shown({ state: "unknown", lastAnswer: null }), "unknown");
});

Deno.test("the probes are one line, with why there are none", () => {
  const probes = {
    port: 8_286,
    address: "10.1.5.0",
    failure: null,
    reachable: 12,
    unreachable: 1,
    unknown: 0,
    counters: {},
  };
  const line = (changes: Partial<typeof probes> | { failure: string }) =>
    /^probes +(.*)$/m.exec(
      renderStatus({ ...running(), probes: { ...probes, ...changes } }, {
        nowMs,
      }),
    )![1];
  assertEquals(
    line({}),
    "UDP port 8286 on 10.1.5.0, hosts: 12 reachable, 1 unreachable, 0 unknown",
  );
  const failure = "Cannot listen on UDP 10.1.5.0:8286: EADDRINUSE";
  assertEquals(
    line({ address: null, failure } as never),
    `UDP port 8286: ${failure}`,
  );
});

Deno.test("an agent of an earlier version is shown without what it does not say", () => {
  const status = JSON.parse(JSON.stringify(running()));
  delete status.peers[0].since;
  delete status.peers[0].confirmed;
  delete status.peers[0].probe;
  delete status.probes;
  status.warnings = [{
    code: "config.refused",
    severity: "warning",
    text: "the config is refused",
    impairs: "it",
    since: "2026-01-01T04:00:00.000Z",
  }];
  const text = renderStatus(status, { nowMs });
  assertMatch(text, /192\.0\.2\.12 +- +udp \(ebpf\) +- +unknown\n/);
  assertStringIncludes(text, "probes     off\n");
  assertStringIncludes(ending(text), "warning: the config is refused\n");
});

Deno.test("what is wrong and what to do stands at the end, the worst last, without consequences", () => {
  const clock = new FakeClock();
  const state = bringUp(newAgentState(clock));
  state.raise("firewall.anti-spoofing-missing", "no tool");
  state.raise("config.refused", "the config is refused: publish another");
  state.raise("firewall.missing", "no tool: apt-get install nftables");
  const text = renderStatus(state.snapshot(), {
    nowMs: clock.now() + 180_000,
  });
  assertEquals(
    ending(text),
    `warnings (2):
  warning: the config is refused: publish another
    config.refused for 3 min; impairs: the published network config has no effect on this host
  error: no tool: apt-get install nftables
    firewall.missing for 3 min; impairs: masquerade of the containers' traffic; Docker's options are not written yet
    consequences: firewall.anti-spoofing-missing
`,
  );
});

Deno.test("the end says what an agent waits for, once", () => {
  const state = newAgentState();
  state.enter("acquiring-lease");
  state.waitFor("lease", "the pool is full");
  const waits = renderStatus(state.snapshot(), { nowMs });
  assert(waits.endsWith("\nnot ready: waiting: the pool is full\n"), waits);
  state.raise("lease.missing", "lease is acquiring: the pool is full");
  state.waitFor("lease", "lease is acquiring: the pool is full");
  const warns = renderStatus(state.snapshot(), { nowMs });
  assertEquals(warns.includes("not ready: waiting"), false);
  assertStringIncludes(warns, "error: lease is acquiring: the pool is full\n");
});

Deno.test("a terminal of 40 columns has no longer line, and no word is lost", () => {
  const state = bringUp(newAgentState());
  state.raise("files.subnet-env", "the disk is full: make room in /run");
  const wide = renderStatus(state.snapshot(), { nowMs });
  const text = renderStatus(state.snapshot(), { nowMs, terminal: NARROW });
  assertEquals(text.split("\n").filter((line) => line.length > 40), []);
  assertStringIncludes(
    text,
    `peers (1):
  10.1.6.0/24  192.0.2.12
    udp (ebpf), since 3 h, probe 0.3 ms,
    confirmed 3 h ago
`,
  );
  const words = (from: string) => from.split(/counters/)[1]!.split(/\s+/);
  assertEquals(words(text), words(wide));
});

Deno.test("colour is for a terminal that has it", () => {
  const before = getColorEnabled();
  setColorEnabled(true);
  try {
    const state = bringUp(newAgentState());
    state.raise("data-path.down", "flannel0 was deleted");
    const render = (terminal?: typeof NARROW) =>
      renderStatus(state.snapshot(), { nowMs, terminal });
    assertStringIncludes(
      render({ ...NARROW, colors: true }),
      "\x1b[31m  error: flannel0 was deleted\x1b[39m\n",
    );
    assertEquals(render(NARROW).includes("\x1b"), false);
    assertEquals(render().includes("\x1b"), false);
  } finally {
    setColorEnabled(before);
  }
});

Deno.test("a screen has as many peers as it has room for, and says how many more there are", () => {
  const peers = Array.from({ length: 50 }, () => PEER);
  const terminal = { columns: 120, rows: 30, colors: false };
  const text = renderStatus(running(peers), {
    nowMs,
    terminal,
    fitHeight: true,
  });
  assert(text.split("\n").length <= 30);
  const [, more] = /and (\d+) more/.exec(text)!;
  assertEquals(text.split("192.0.2.12 ").length - 1, 50 - Number(more));
  assert(Number(more) < 50);
  assertStringIncludes(text, "peers (50):");
  assert(text.endsWith("no warnings\n"));
});

Deno.test("a data path that the kernel goes on with is not called down", () => {
  const state = bringUp(newAgentState());
  state.attach({ backend: () => undefined });
  assertStringIncludes(
    renderStatus(state.snapshot(), { nowMs }),
    "data path  down, restarted 2 times\n",
  );
  state.raise("data-path.unattended", "the packet socket is gone");
  assertStringIncludes(
    renderStatus(state.snapshot(), { nowMs }),
    "data path  in the kernel alone, restarted 2 times\n",
  );
});

Deno.test("a data path that has not been reached yet is not called down", () => {
  const state = newAgentState();
  const render = () => renderStatus(state.snapshot(), { nowMs });
  assertStringIncludes(render(), "data path  not started yet\n");
  state.set({ ready: true });
  assertStringIncludes(render(), "data path  down\n");
});

Deno.test("what etcd holds cannot talk to the terminal", () => {
  const peer = { ...PEER, backendType: "\x1b]0;owned\x07\n", dataPath: null };
  for (const terminal of [undefined, NARROW]) {
    assertStringIncludes(
      renderStatus(running([peer]), { nowMs, terminal }),
      "?]0;owned??",
    );
  }
});
