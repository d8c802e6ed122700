import { assertEquals } from "@std/assert";
import { configureSync, type LogRecord, resetSync } from "@logtape/logtape";
import { ERRNO, SystemCallError } from "../../../linux/errno.ts";
import { CapturedLogs } from "../../support/capture_logs.ts";
import { readWatchdogTimeout, SystemdNotifier } from "../../../host/systemd.ts";

function recorder() {
  const sent: [string, string][] = [];
  const send = (address: string, bytes: Uint8Array) => {
    sent.push([address, new TextDecoder().decode(bytes)]);
  };
  return { sent, send };
}

Deno.test("each state is one datagram", () => {
  const { sent, send } = recorder();
  const notifier = new SystemdNotifier("/run/systemd/notify", send);
  notifier.status("waiting for etcd");
  notifier.ready("10.1.27.0/24, 2 peers");
  notifier.stopping();
  assertEquals(sent, [
    ["/run/systemd/notify", "STATUS=waiting for etcd"],
    ["/run/systemd/notify", "READY=1\nSTATUS=10.1.27.0/24, 2 peers"],
    ["/run/systemd/notify", "STOPPING=1"],
  ]);
});

Deno.test("a status with line breaks stays one line", () => {
  const { sent, send } = recorder();
  new SystemdNotifier("@x", send).status("a\nREADY=1\r\nb");
  assertEquals(sent, [["@x", "STATUS=a READY=1 b"]]);
});

Deno.test("the same status is sent once", () => {
  const { sent, send } = recorder();
  const notifier = new SystemdNotifier("@x", send);
  notifier.ready("up");
  notifier.status("up");
  notifier.status("down");
  notifier.status("down");
  notifier.status("up");
  assertEquals(sent.map(([, text]) => text), [
    "READY=1\nSTATUS=up",
    "STATUS=down",
    "STATUS=up",
  ]);
});

for (const address of [undefined, ""]) {
  Deno.test(`nothing is sent when NOTIFY_SOCKET is ${address ?? "unset"}`, () => {
    const { sent, send } = recorder();
    const notifier = new SystemdNotifier(address, send);
    notifier.ready("up");
    notifier.stopping();
    assertEquals(sent, []);
  });
}

Deno.test("a socket that fails is reported once and tried again", () => {
  const records: LogRecord[] = [];
  configureSync({
    sinks: { memory: (record) => records.push(record) },
    loggers: [
      { category: "loden", sinks: ["memory"] },
      { category: ["logtape", "meta"], sinks: [] },
    ],
  });
  try {
    let broken = true;
    const sent: string[] = [];
    const notifier = new SystemdNotifier("@gone", (_address, bytes) => {
      if (broken) throw new Error("refused");
      sent.push(new TextDecoder().decode(bytes));
    });
    notifier.ready("up");
    notifier.status("up");
    assertEquals(records.map((record) => record.properties.event), [
      "systemd.unreachable",
    ]);
    broken = false;
    notifier.status("up");
    assertEquals(sent, ["STATUS=up"]);
  } finally {
    resetSync();
  }
});

Deno.test("a status does not wait; a message that must arrive waits a moment", () => {
  const timeouts: number[] = [];
  const notifier = new SystemdNotifier("@x", (_address, _bytes, timeoutMs) => {
    timeouts.push(timeoutMs);
  });
  notifier.status("waiting");
  notifier.ready("up");
  notifier.watchdog();
  notifier.stopping();
  assertEquals(timeouts, [0, 200, 200, 200]);
});

Deno.test("a status for which there is no room is no failure of the socket, and is told again", () => {
  using logs = new CapturedLogs();
  let full = true;
  const sent: string[] = [];
  const notifier = new SystemdNotifier("@x", (_address, bytes) => {
    if (full) throw new SystemCallError("send", ERRNO.EAGAIN);
    sent.push(new TextDecoder().decode(bytes));
  });
  assertEquals(notifier.status("a"), false);
  assertEquals(logs.events("systemd.unreachable"), []);
  full = false;
  assertEquals([notifier.status("a"), notifier.status("a")], [true, true]);
  assertEquals(sent, ["STATUS=a"]);
});

Deno.test("a sign of life is a datagram of its own each time", () => {
  const { sent, send } = recorder();
  const notifier = new SystemdNotifier("@x", send);
  notifier.watchdog();
  notifier.watchdog();
  assertEquals(sent.map(([, text]) => text), ["WATCHDOG=1", "WATCHDOG=1"]);
});

Deno.test("the watchdog's timeout is read in microseconds, if it is meant for this process", () => {
  const usec = { WATCHDOG_USEC: "60000000" };
  assertEquals(readWatchdogTimeout(usec, 7), 60_000);
  assertEquals(readWatchdogTimeout({ ...usec, WATCHDOG_PID: "7" }, 7), 60_000);
  assertEquals(
    readWatchdogTimeout({ ...usec, WATCHDOG_PID: "8" }, 7),
    undefined,
  );
  for (const WATCHDOG_USEC of ["0", "", "soon", "-1"]) {
    assertEquals(readWatchdogTimeout({ WATCHDOG_USEC }, 7), undefined);
  }
  assertEquals(readWatchdogTimeout({}, 7), undefined);
});
