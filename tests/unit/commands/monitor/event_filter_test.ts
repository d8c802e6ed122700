import { assert, assertEquals, assertThrows } from "@std/assert";
import type { MonitorEvent } from "../../../../agent/monitor/monitor_event.ts";
import { EventFilter } from "../../../../commands/monitor/event_filter.ts";
import { UsageError } from "../../../../config/errors.ts";

const TIME = "2026-11-29T01:02:03.456Z";
const PEER = { subnet: "10.1.2.0/24", publicIp: "192.0.2.2" };

const flow = (source: string, destination: string) => ({
  source,
  destination,
  protocol: 17,
  sourcePort: null,
  destinationPort: null,
});

const drop = (
  outer: [string, string] | undefined,
  inner: [string, string] | undefined,
  reason = "rx.drop.wrongSource",
): MonitorEvent => ({
  type: "drop",
  time: TIME,
  reason,
  device: "eth0",
  lengthBytes: 100,
  outer: outer ? flow(...outer) : null,
  inner: inner ? flow(...inner) : null,
  link: "ethernet",
});
const FROM_PEER = drop(["192.0.2.2", "192.0.2.1"], ["10.1.9.9", "10.1.1.2"]);
const TO_PEER = drop(undefined, ["10.1.1.2", "10.1.2.7"], "tx.drop.expired");
const FROM_OTHER = drop(["192.0.2.22", "192.0.2.1"], [
  "10.1.3.9",
  "10.1.1.2",
]);
const MORE: MonitorEvent = {
  type: "suppressed",
  time: TIME,
  reason: "rx.drop.wrongSource",
  count: 7,
};
const peerEvent = (subnet: string, publicIp: string): MonitorEvent => ({
  type: "peer",
  time: TIME,
  change: "added",
  subnet,
  publicIp,
  backendType: "udp",
  stale: false,
});
const logOf = (text: string): MonitorEvent => ({
  type: "log",
  time: TIME,
  level: "info",
  message: text,
  event: "lease.x",
});
const SOURCE: MonitorEvent = {
  type: "source",
  time: TIME,
  backend: "udp",
  dataPath: "ebpf",
  drops: true,
  why: null,
  reasons: ["rx.drop.wrongSource", "tx.drop.expired"],
  link: "ethernet",
};
const LOST: MonitorEvent = { type: "lost", time: TIME, count: 3 };

const shown = (filter: EventFilter, events: readonly MonitorEvent[]) =>
  events.map((event) => filter.shows(event, JSON.stringify(event)));

Deno.test("without words everything is shown", () => {
  const all = [FROM_PEER, TO_PEER, MORE, logOf("x"), SOURCE, LOST];
  assert(shown(new EventFilter({}), all).every((each) => each));
  assertEquals(new EventFilter({}).wantsPeers, false);
});

for (const word of ["10.1.2.0/24", "10.1.2.9", "192.0.2.2"]) {
  Deno.test(`--peer=${word} shows the peer by its subnet and by its address, and no other`, () => {
    const filter = new EventFilter({ peer: word });
    filter.know(PEER);
    filter.know({ subnet: "10.1.3.0/24", publicIp: "192.0.2.22" });
    assertEquals(
      shown(filter, [FROM_PEER, TO_PEER, FROM_OTHER, MORE]),
      [true, true, false, false],
    );
    assertEquals(
      shown(filter, [
        peerEvent("10.1.2.0/24", "192.0.2.2"),
        peerEvent("10.1.3.0/24", "192.0.2.22"),
        logOf("key 10.1.2.0-24 is not valid"),
        logOf("nothing from 192.0.2.2, again"),
        logOf("nothing from 192.0.2.22"),
        SOURCE,
        LOST,
      ]),
      [true, false, true, true, false, true, true],
    );
  });
}

Deno.test("--peer shows an address that is no peer's", () => {
  const filter = new EventFilter({ peer: "192.0.2.22" });
  filter.know(PEER);
  assertEquals(shown(filter, [FROM_PEER, FROM_OTHER]), [false, true]);
});

Deno.test("a peer that comes later is known by both of its names from then on", () => {
  const filter = new EventFilter({ peer: "10.1.2.0/24" });
  assertEquals(shown(filter, [FROM_PEER]), [false]);
  const joined = peerEvent("10.1.2.0/24", "192.0.2.2");
  assertEquals(shown(filter, [joined, FROM_PEER]), [true, true]);
});

Deno.test("--peer must be an address or a subnet", () => {
  for (const word of ["host1", "10.1.2", "10.1.2.0/33"]) {
    const error = assertThrows(
      () => new EventFilter({ peer: word }),
      UsageError,
    );
    assert(error.message.includes(word));
  }
});

Deno.test("--reason shows drops of these reasons alone, by the whole name or its end", () => {
  for (const reason of ["wrongSource", "rx.drop.wrongSource"]) {
    const filter = new EventFilter({ reasons: [reason] });
    assertEquals(
      shown(filter, [FROM_PEER, TO_PEER, MORE, logOf("x"), SOURCE, LOST]),
      [true, false, true, false, true, true],
    );
  }
  const both = new EventFilter({ reasons: ["wrongSource", "expired"] });
  assertEquals(shown(both, [FROM_PEER, TO_PEER]), [true, true]);
});

Deno.test("a reason that the agent never gives is refused, with one that is near", () => {
  const known = ["rx.drop.wrongSource", "tx.drop.expired"];
  new EventFilter({ reasons: ["expired"] }).checkReasons(known);
  new EventFilter({ reasons: ["exspired"] }).checkReasons([]);
  const error = assertThrows(
    () => new EventFilter({ reasons: ["exspired"] }).checkReasons(known),
    UsageError,
  );
  assert(error.hint?.includes("expired"));
});
