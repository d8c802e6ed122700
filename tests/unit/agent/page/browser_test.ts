/**
 * The parts of the page's script that need no browser.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { pathOf } from "../../../../agent/page/browser/chart.js";
import { healthOf } from "../../../../agent/page/browser/health.js";
import { hostFacts, leaseClock } from "../../../../agent/page/browser/host.js";
import {
  cellsOf,
  hasTrouble,
  matches,
  ordered,
  peersOf,
  reachOf,
} from "../../../../agent/page/browser/peers.js";
import {
  describePicture,
  dotsOf,
  places,
} from "../../../../agent/page/browser/picture.js";
import {
  DROP,
  dropsOf,
  niceCeiling,
  Rates,
} from "../../../../agent/page/browser/rates.js";
import { ask, backOffMs } from "../../../../agent/page/browser/source.js";
import {
  age,
  bitRate,
  count,
  counted,
  duration,
  packetRate,
  roundTrip,
} from "../../../../agent/page/browser/text.js";
import { PROGRAM_COUNTERS } from "../../../../backend/udp/ebpf/counters.ts";
import { COUNTER_NAMES } from "../../../../backend/udp/tun/counters.ts";
import { describeAge } from "../../../../commands/status/age.ts";
import { renderStatus } from "../../../../commands/status/status_text.ts";
import { isDropCounter } from "../../../../net/dropped_packet.ts";
import { bringUp, newAgentState, PEER } from "../../../support/agent_state.ts";

const NOW = Date.parse("2026-01-01T03:00:00Z");

Deno.test("rates and numbers have three digits and a unit", () => {
  assertEquals(
    [0, 8.4, 999.6, 12_480_000, 1e9, 1e13].map(bitRate),
    [
      "0 bit/s",
      "8 bit/s",
      "1.00 kbit/s",
      "12.5 Mbit/s",
      "1.00 Gbit/s",
      "10.0 Tbit/s",
    ],
  );
  assertEquals([0.54, 1, 4_200.4].map(packetRate), [
    "0.5 packets/s",
    "1 packet/s",
    "4,200 packets/s",
  ]);
  assertEquals(count(1_234_567), "1,234,567");
  assertEquals([1, 2].map((number) => counted(number, "peer")), [
    "1 peer",
    "2 peers",
  ]);
  assertEquals([0.31, 1.24, 12.4].map(roundTrip), [
    "0.31 ms",
    "1.2 ms",
    "12 ms",
  ]);
});

Deno.test("an age is that of loden status", () => {
  for (const seconds of [0, 5, 119, 120, 7_199, 7_200, 172_799, 999_999]) {
    const time = new Date(NOW - seconds * 1_000).toISOString();
    assertEquals(age(time, NOW), describeAge(time, NOW));
  }
  assertEquals([null, undefined, "soon"].map((time) => age(time, NOW)), [
    undefined,
    undefined,
    undefined,
  ]);
});

Deno.test("a rest has two units", () => {
  const minute = 60_000;
  assertEquals(
    [-1, 41_000, 5 * minute, 23 * 60 * minute + 41 * minute, 76 * 60 * minute]
      .map(duration),
    ["0 s", "41 s", "5 min", "23 h 41 min", "3 d 4 h"],
  );
});

/** A sample every two seconds. */
function ratesOf(
  samples: readonly { rx: number; source?: string; atMs?: number }[],
): (number | undefined)[] {
  const rates = new Rates();
  samples.forEach(({ rx, source = "1", atMs }, index) =>
    rates.add({
      atMs: atMs ?? index * 2_000,
      source,
      counters: { "rx.bytes": rx },
    })
  );
  return rates.points.map(({ rates }) => rates?.["rx.bytes"]);
}

Deno.test("a rate is the difference of two samples by the agent's time", () => {
  assertEquals(ratesOf([{ rx: 100 }, { rx: 300 }, { rx: 300 }]), [
    undefined,
    100,
    0,
  ]);
});

Deno.test("there is no rate for another process, a counter that goes back, a long pause and a clock that is set back", () => {
  assertEquals(ratesOf([{ rx: 9 }, { rx: 99, source: "2" }]), [
    undefined,
    undefined,
  ]);
  assertEquals(ratesOf([{ rx: 9 }, { rx: 3 }, { rx: 5 }]), [
    undefined,
    undefined,
    1,
  ]);
  assertEquals(ratesOf([{ rx: 0 }, { rx: 9, atMs: 60_000 }]), [
    undefined,
    undefined,
  ]);
  assertEquals(ratesOf([{ rx: 0, atMs: 9_000 }, { rx: 9, atMs: 2_000 }]), [
    undefined,
  ]);
});

Deno.test("the same sample twice is one, and five minutes are remembered", () => {
  assertEquals(ratesOf([{ rx: 1 }, { rx: 1, atMs: 0 }]).length, 1);
  const many = Array.from({ length: 200 }, (_, index) => ({ rx: index }));
  assertEquals(ratesOf(many).length, 151);
});

Deno.test("drops of all kinds are summed, the most frequent first", () => {
  assertEquals(
    dropsOf({
      "rx.packets": 9,
      "rx.drop.short": 1,
      "tx.drop.noPeer": 4,
      "rx.slow.drop.tooBig": 2,
      "rx.drop.ttl": 0,
    }),
    {
      reasons: [
        ["tx.drop.noPeer", 4],
        ["rx.slow.drop.tooBig", 2],
        ["rx.drop.short", 1],
      ],
      total: 7,
    },
  );
});

Deno.test("a chart is as high as a round number", () => {
  assertEquals(
    [0, 3, 100, 101, 2_000, 9.9].map((most) => niceCeiling(most, 1)),
    [
      1,
      5,
      100,
      200,
      2_000,
      10,
    ],
  );
});

Deno.test("a line has a gap where nothing is known", () => {
  const line = [5, undefined, 0, 10].map((value, index) => ({
    atMs: index * 100_000,
    value,
  }));
  assertEquals(
    pathOf(line, 300_000, 10, false),
    "M0.0 45.0h0M200.0 87.0L300.0 3.0h0",
  );
  assertEquals(
    pathOf(line.slice(2), 300_000, 10, true),
    "M200.0 87.0L300.0 3.0h0L300.0 88L200.0 88Z",
  );
});

const PEERS = ["10.1.20.0/24", "10.1.3.0/24", "10.1.100.0/24"].map((
  subnet,
  index,
) => ({
  ...PEER,
  subnet,
  publicIp: `192.0.2.${index + 1}`,
}));

type JudgedPeer = typeof PEERS[0] & { readonly probe: unknown };

/** As the page has them at a time. */
function judged(
  peers: readonly unknown[],
  { mtuBytes = 1472, time = "2026-01-01T03:00:00Z" } = {},
): JudgedPeer[] {
  return peersOf({ overlay: { mtuBytes }, peers, time });
}

/** A probe that has been in its state for three minutes. */
function probed(index: number, probe: Record<string, unknown>): unknown {
  const since = "2026-01-01T02:57:00Z";
  return { ...PEERS[index]!, probe: { ...probe, since } };
}

const [REACHED, LOSSY, SILENT, UNKNOWN] = judged([
  probed(0, {
    state: "reachable",
    lossRatio: 0.03,
    rttMs: 0.31,
    mtuBytes: 1472,
  }),
  probed(1, { state: "reachable", lossRatio: 0.25, rttMs: 12, mtuBytes: 1400 }),
  probed(2, {
    state: "unreachable",
    lossRatio: 1,
    rttMs: null,
    mtuBytes: null,
  }),
  { ...PEER, probe: null },
]) as [JudgedPeer, JudgedPeer, JudgedPeer, JudgedPeer];

Deno.test("a peer is found by parts of what is shown, and by an address in its subnet", () => {
  const found = (query: string) =>
    PEERS.filter((peer) => matches(peer, query, NOW)).map(({ subnet }) =>
      subnet
    );
  assertEquals(found(""), PEERS.map(({ subnet }) => subnet));
  assertEquals(found("192.0.2.2"), ["10.1.3.0/24"]);
  assertEquals(found("10.1.100.77"), ["10.1.100.0/24"]);
  assertEquals(found("UDP 10.1.3"), ["10.1.3.0/24"]);
  assertEquals(found("vxlan"), []);
  assertEquals(found("10.1.300.1"), []);
});

Deno.test("subnets and hosts are ordered as numbers, and what is unknown is last", () => {
  const subnets = (column: string, descending: boolean, peers = PEERS) =>
    ordered(peers, column, descending).map(({ subnet }) => subnet);
  assertEquals(subnets("subnet", false), [
    "10.1.3.0/24",
    "10.1.20.0/24",
    "10.1.100.0/24",
  ]);
  assertEquals(subnets("host", true), [
    "10.1.100.0/24",
    "10.1.3.0/24",
    "10.1.20.0/24",
  ]);
  const partly = [
    { ...PEERS[0]!, since: null },
    { ...PEERS[1]!, since: "2026-01-01T00:00:00Z" },
    { ...PEERS[2]!, since: "2026-01-02T00:00:00Z" },
  ];
  for (const descending of [false, true]) {
    assertEquals(subnets("since", descending, partly).at(-1), "10.1.20.0/24");
  }
  assertEquals(subnets("reach", false, [REACHED, LOSSY, SILENT]), [
    "10.1.100.0/24",
    "10.1.3.0/24",
    "10.1.20.0/24",
  ]);
});

Deno.test("what probes say of a peer is one of four states", () => {
  assertEquals([REACHED, LOSSY, SILENT, UNKNOWN].map(reachOf), [
    "reached",
    "trouble",
    "silent",
    "unknown",
  ]);
  assertEquals(
    [REACHED, LOSSY, SILENT, UNKNOWN].map((peer) => cellsOf(peer, NOW).reach),
    [
      "0.31 ms",
      "12 ms, 25 % lost, at most 1400 bytes",
      "not reached for 3 min",
      "not measured",
    ],
  );
  assertEquals(
    [REACHED, LOSSY, SILENT, UNKNOWN, { ...UNKNOWN, stale: true }].map(
      hasTrouble,
    ),
    [false, true, true, false, true],
  );
});

Deno.test("a path that is narrower than the overlay is trouble", () => {
  assertEquals(judged([REACHED], { mtuBytes: 1473 }).map(reachOf), ["trouble"]);
});

Deno.test("one lost probe is not trouble, be it one of the first; two are", () => {
  /** After so long, with so many peers. */
  const state = (lossRatio: number, seconds: number, peers = 1) => {
    const time = new Date(NOW - 180_000 + seconds * 1_000).toISOString();
    const peer = probed(0, { state: "reachable", lossRatio });
    return reachOf(judged(Array(peers).fill(peer), { time })[0]);
  };
  assertEquals(state(1 / 2, 10), "reached");
  assertEquals(state(2 / 3, 20), "trouble");
  assertEquals(state(1 / 32, 900), "reached");
  assertEquals(state(2 / 32, 900), "trouble");
  // Each has its turn every 250 seconds.
  assertEquals(state(1 / 5, 1_000, 1_000), "reached");
});

Deno.test("the picture says what it shows", () => {
  assertEquals(describePicture([]), "There are no other hosts yet.");
  assertEquals(
    describePicture([REACHED, LOSSY, SILENT, UNKNOWN]),
    "This host and 4 peers: 1 reached, 1 reached with trouble, 1 not reached, 1 not measured.",
  );
});

Deno.test("a dot stands for so many neighbours that there are at most 1,500, and shows the worst of them", () => {
  const many = Array.from({ length: 2_500 }, (_, index) => ({
    ...PEER,
    subnet: `10.${index >> 8}.${index & 255}.0/24`,
    ...index === 4 ? { probe: SILENT.probe } : {},
  }));
  const { dots, share } = dotsOf(many);
  assertEquals([share, dots.length], [2, 1_250]);
  assertEquals(dots.map(({ state }) => state).indexOf("silent"), 2);
});

Deno.test("all dots are inside the picture, and none lies on this host", () => {
  for (const number of [1, 2, 12, 13, 48, 49, 1_000]) {
    for (const { radius, x, y } of places(number)) {
      const distance = Math.hypot(x, y);
      assertEquals(distance + radius < 112, true, `${number}: ${distance}`);
      assertEquals(distance - radius > 8, true, `${number}: ${distance}`);
    }
  }
});

Deno.test("health is in the words of loden status", () => {
  const state = bringUp(newAgentState());
  assertEquals(healthOf(state.snapshot()).severity, "ok");
  state.raise("state.not-saved", "the disk is full");
  state.raise("files.subnet-env", "no file");
  state.raise("firewall.anti-spoofing-missing", "cause");
  state.raise("firewall.missing", "cause is shown");
  const status = state.snapshot();
  const { severity, shown, verdict } = healthOf(status);
  assertEquals(severity, "error");
  assertEquals(verdict, "This host is ready, with 3 warnings.");
  const said = renderStatus(status, { nowMs: NOW });
  assertEquals(
    shown.toReversed().map(({ text }: { text: string }) => said.indexOf(text))
      .every((at: number, index: number, all: number[]) =>
        at > (all[index - 1] ?? 0)
      ),
    true,
  );
});

Deno.test("a host that waits says for what, once", () => {
  const state = newAgentState();
  state.waitFor("config", "no network config");
  assertEquals(
    healthOf(state.snapshot()).verdict,
    "This host is not ready. It waits: no network config",
  );
  state.raise("config.missing", "no network config");
  const { severity, verdict, waiting } = healthOf(state.snapshot());
  assertEquals([severity, verdict, waiting], [
    "error",
    "This host is not ready, with 1 warning.",
    undefined,
  ]);
});

Deno.test("the lease's clock shows what is left, up to a day", () => {
  const lease = { subnet: "10.1.5.0/24", state: "held", cause: null };
  const left = (expires: string | null, more = {}) => {
    const { hours, left, level } = leaseClock(
      { ...lease, expires, ...more },
      NOW,
    );
    return [left, hours, level];
  };
  assertEquals(left("2026-01-02T02:30:00Z"), ["23 h 30 min", 23.5, ""]);
  assertEquals(left("2026-01-05T03:00:00Z"), ["4 d 0 h", 24, ""]);
  assertEquals(left("2026-01-01T03:30:00Z"), ["30 min", 0.5, "warning"]);
  assertEquals(left("2026-01-01T02:00:00Z"), ["expired", 0, "error"]);
  assertEquals(left(null), ["no end", 24, ""]);
  assertEquals(left(null, { state: "lost" }), ["lost", 0, "error"]);
  assertEquals(leaseClock(null, NOW).left, "none");
});

Deno.test("why there is no status is said", async () => {
  const answer = (body: string, status = 200) => () =>
    Promise.resolve(new Response(body, { status }));
  const fail = (error: Error) => () => Promise.reject(error);
  for (
    const [get, why] of [
      [fail(new TypeError("Failed to fetch")), "no connection"],
      [
        fail(new DOMException("", "TimeoutError")),
        "no answer within 8 seconds",
      ],
      [answer("", 421), "it answers with HTTP 421"],
      [answer("<html>"), "its answer is not a status"],
      [answer("null"), "its answer is not a status"],
      [answer('{"schema":2}'), "its answer is not a status"],
    ] as const
  ) await assertRejects(() => ask(get), Error, why);
  assertEquals(await ask(answer('{"schema":1}')), { schema: 1 });
});

Deno.test("the pause grows with each failure, up to half a minute", () => {
  assertEquals([1, 2, 3, 6, 50].map(backOffMs), [
    1_000,
    2_000,
    4_000,
    30_000,
    30_000,
  ]);
});

Deno.test("a drop is what it is for loden monitor and metrics", () => {
  const names = [...PROGRAM_COUNTERS, ...Object.keys(COUNTER_NAMES)];
  assertEquals(
    names.filter((name) => DROP.test(name)),
    names.filter(isDropCounter),
  );
});

Deno.test("every fact of the host has a label that begins like the others", () => {
  const labels = hostFacts(bringUp(newAgentState()).snapshot(), 0)
    .map(([name]) => name as string);
  assertEquals(labels.filter((name) => /^[a-z]/.test(name)), ["etcd"]);
  assertEquals(labels.includes("Receive on eth0"), true);
});
