import { assert, assertEquals } from "@std/assert";
import type { MonitorEvent } from "../../../../agent/monitor/monitor_event.ts";
import { renderEvent } from "../../../../commands/monitor/event_text.ts";

const time = "2026-11-29T01:02:03.456Z";

const EVENTS: readonly [MonitorEvent, string][] = [
  [
    {
      type: "start",
      time,
      schema: 1,
      version: "1.2.3",
      instance: "coreos.com-network",
      bytes: true,
    },
    "start agent 1.2.3 of coreos.com-network",
  ],
  [
    {
      type: "source",
      time,
      backend: "udp",
      dataPath: "ebpf",
      drops: true,
      why: null,
      reasons: [],
      link: "ethernet",
    },
    "from  backend udp, data path ebpf: drops and changes",
  ],
  [
    {
      type: "source",
      time,
      backend: "vxlan",
      dataPath: "kernel",
      drops: false,
      why: "the kernel alone moves them",
      reasons: [],
      link: null,
    },
    "from  backend vxlan, data path kernel: changes only, the kernel alone moves them",
  ],
  [
    {
      type: "drop",
      time,
      reason: "rx.drop.unknownSender",
      device: "eth0",
      lengthBytes: 126,
      outer: {
        source: "192.0.2.9",
        destination: "192.0.2.1",
        protocol: 17,
        sourcePort: 8285,
        destinationPort: 8285,
      },
      inner: {
        source: "10.1.9.2",
        destination: "10.1.1.2",
        protocol: 1,
        sourcePort: null,
        destinationPort: null,
      },
      link: "ethernet",
      bytes: "00",
    },
    "drop  rx.drop.unknownSender on eth0: 192.0.2.9:8285 > 192.0.2.1:8285 UDP " +
    "with 10.1.9.2 > 10.1.1.2 ICMP, 126 bytes",
  ],
  [
    {
      type: "drop",
      time,
      reason: "tx.drop.short",
      device: null,
      lengthBytes: 0,
      outer: null,
      inner: null,
      link: "ip",
    },
    "drop  tx.drop.short",
  ],
  [
    { type: "suppressed", time, reason: "rx.drop.short", count: 9_000 },
    "drops rx.drop.short: 9000 more packets",
  ],
  [
    { type: "lost", time, count: 12 },
    "lost  12 events that were not read in time are missing here",
  ],
  [
    {
      type: "peer",
      time,
      change: "changed",
      subnet: "10.1.2.0/24",
      publicIp: "192.0.2.2",
      backendType: "udp",
      stale: true,
    },
    "peer  changed 10.1.2.0/24 at 192.0.2.2 (udp, stale: its key is gone)",
  ],
  [
    {
      type: "warning",
      time,
      change: "raised",
      code: "etcd.unavailable",
      severity: "warning",
      text: "etcd does not answer",
    },
    "warn  raised etcd.unavailable: etcd does not answer",
  ],
  [
    {
      type: "log",
      time,
      level: "info",
      category: "loden.lease",
      message: "lease is renewed",
      event: "lease.renewed",
      subnet: "10.1.1.0/24",
      seconds: 7,
    } as MonitorEvent,
    "info  lease is renewed event=lease.renewed subnet=10.1.1.0/24 seconds=7",
  ],
];

for (const [event, text] of EVENTS) {
  Deno.test(`a ${event.type} is one line: ${text}`, () => {
    assertEquals(renderEvent(event, undefined), `${time} ${text}\n`);
  });
}

Deno.test("texts of others cannot control the terminal", () => {
  const [event] = EVENTS.at(-1)!;
  const line = renderEvent(
    { ...event, message: "a\x1b[2Jb\nc" } as MonitorEvent,
    { colors: false },
  );
  // deno-lint-ignore no-control-regex
  assert(!/[\x00-\x09\x0b-\x1f]/.test(line));
  assertEquals(line.indexOf("\n"), line.length - 1);
});

Deno.test("colours are for terminals that have them", () => {
  const [event] = EVENTS[3]!;
  assert(renderEvent(event, { colors: true }).includes("\x1b["));
  assert(!renderEvent(event, { colors: false }).includes("\x1b["));
});
