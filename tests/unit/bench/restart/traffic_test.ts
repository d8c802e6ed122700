import { assertEquals, assertThrows } from "@std/assert";
import { echoLoss } from "../../../../bench/restart/steady_ping.ts";
import { streamCourse } from "../../../../bench/restart/steady_stream.ts";

/** What `ping` writes when the answers to these requests came. */
function pingOutput(sent: number, answered: readonly number[]): string {
  return [
    "PING 10.1.2.2 (10.1.2.2) 56(84) bytes of data.",
    ...answered.map((sequence) =>
      `64 bytes from 10.1.2.2: icmp_seq=${sequence} ttl=62 time=0.100 ms`
    ),
    "",
    "--- 10.1.2.2 ping statistics ---",
    `${sent} packets transmitted, ${answered.length} received, 0% packet loss, time 9ms`,
  ].join("\n");
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

Deno.test("ping: every request was answered", () => {
  assertEquals(echoLoss(pingOutput(400, range(1, 400))), {
    sent: 400,
    lost: 0,
    outageMs: 0,
  });
});

Deno.test("ping: lost ones are counted, and the longest row of them is the outage", () => {
  const answered = [...range(2, 100), ...range(111, 200), ...range(204, 400)];
  assertEquals(echoLoss(pingOutput(400, answered)), {
    sent: 400,
    lost: 14,
    outageMs: 50,
  });
});

Deno.test("ping: the order of the answers does not count, nor a second answer", () => {
  assertEquals(echoLoss(pingOutput(4, [2, 1, 4, 4, 3])).lost, 0);
});

Deno.test("ping: requests in flight at the end are not lost", () => {
  assertEquals(echoLoss(pingOutput(400, range(1, 397))), {
    sent: 397,
    lost: 0,
    outageMs: 0,
  });
});

Deno.test("ping: an end without answers is lost", () => {
  assertEquals(echoLoss(pingOutput(400, range(1, 300))), {
    sent: 400,
    lost: 100,
    outageMs: 500,
  });
});

Deno.test("ping: an error from a router is no answer", () => {
  const output = pingOutput(3, [1, 3]).replace(
    "icmp_seq=3",
    "icmp_seq=3 ttl=62 time=1 ms\nFrom 10.1.1.1 icmp_seq=2 Destination Host Unreachable\nx icmp_seq=3",
  );
  assertEquals(echoLoss(output).lost, 1);
});

Deno.test("ping: without a summary there is no figure", () => {
  assertThrows(() => echoLoss("ping: unknown host"), Error, "unknown host");
});

/** What `iperf3 --json` writes, by what was sent in each interval. */
function streamReport(...bytes: number[]): string {
  return JSON.stringify({
    intervals: bytes.map((bytes) => ({ sum: { bytes } })),
    error: "interrupt - the client has terminated by signal Interrupt(2)",
  });
}

Deno.test("stream: the longest pause is reported, and that the stream continued", () => {
  assertEquals(streamCourse(streamReport(9, 0, 9, 0, 0, 0, 9, 9)), {
    alive: true,
    pauseMs: 300,
  });
});

Deno.test("stream: it is not alive when nothing moves at the end", () => {
  assertEquals(streamCourse(streamReport(9, 9, 0, 0)), {
    alive: false,
    pauseMs: 200,
  });
  assertEquals(streamCourse(streamReport()), { alive: false, pauseMs: 0 });
});
