import { assertEquals, assertThrows } from "@std/assert";
import {
  busySeconds,
  busySecondsOfCpu,
} from "../../../../bench/measure/cpu.ts";
import { residentMemory } from "../../../../bench/measure/memory.ts";
import { parsePing } from "../../../../bench/measure/ping.ts";
import { processSeconds } from "../../../../bench/measure/process_cpu.ts";
import { parseIperf3 } from "../../../../bench/measure/tcp.ts";

Deno.test("iperf3: what the receiver got counts", () => {
  const report = JSON.stringify({
    end: {
      sum_sent: { bits_per_second: 9e9, bytes: 9e9 },
      sum_received: { bits_per_second: 8e9, bytes: 5e9 },
    },
  });
  assertEquals(parseIperf3(report), { gbps: 8, bytes: 5e9 });
});

Deno.test("iperf3: its own error is passed on", () => {
  assertThrows(
    () => parseIperf3('{"end":{},"error":"unable to connect"}'),
    Error,
    "unable to connect",
  );
});

Deno.test("ping: counts, and the mean in microseconds", () => {
  const output = "PING 10.1.2.2 (10.1.2.2) 56(84) bytes of data.\n\n" +
    "--- 10.1.2.2 ping statistics ---\n" +
    "200 packets transmitted, 199 received, 0.5% packet loss, time 1059ms\n" +
    "rtt min/avg/max/mdev = 0.050/0.104/0.600/0.040 ms\n";
  assertEquals(parsePing(output), { sent: 200, received: 199, averageUs: 104 });
});

Deno.test("ping: requests in flight at the end are not lost, those that younger answers overtook are", () => {
  const answers = (...numbers: number[]) =>
    numbers.map((number) =>
      `64 bytes from 10.1.2.2: icmp_seq=${number} ttl=62 time=0.1 ms\n`
    ).join("");
  const summary = "4 packets transmitted, 2 received, 50% packet loss\n";
  const counts = (output: string, enough: number) => {
    const { received, sent } = parsePing(output, enough);
    return { received, sent };
  };
  assertEquals(counts(answers(1, 2) + summary, 2), { sent: 2, received: 2 });
  assertEquals(counts(answers(1, 3) + summary, 2), { sent: 3, received: 2 });
  // The deadline has ended it.
  assertEquals(counts(answers(1, 2) + summary, 3), { sent: 4, received: 2 });
});

Deno.test("ping: nothing came back", () => {
  const output = "--- 10.1.2.2 ping statistics ---\n" +
    "3 packets transmitted, 0 received, +3 errors, 100% packet loss\n\n";
  assertEquals(parsePing(output), {
    sent: 3,
    received: 0,
    averageUs: undefined,
  });
  assertThrows(() => parsePing("ping: unknown host"), Error, "unknown host");
});

Deno.test("/proc/stat: idle, waiting and stolen time is not work", () => {
  const stat = "cpu  100 10 200 5000 600 30 60 999 0 0\ncpu0 1 1 1 1 1 1 1\n";
  assertEquals(busySeconds(stat), 4);
});

Deno.test("/proc/stat: a CPU by its number", () => {
  const stat = "cpu  9 9 9 9 9 9 9\ncpu1 100 0 100 9 9 0 0\n" +
    "cpu10 500 0 0 9 9 0 0\n";
  assertEquals(busySecondsOfCpu(1, stat), 2);
  assertEquals(busySecondsOfCpu(10, stat), 5);
  assertThrows(() => busySecondsOfCpu(0, stat), Error, "cpu0");
});

Deno.test("/proc/pid/status: kilobytes of 1024 become megabytes of 10^6", () => {
  const status = "Name:\tdeno\nVmRSS:\t  100000 kB\nRssAnon:\t   50000 kB\n";
  assertEquals(residentMemory(1, status), { rssMb: 102.4, rssAnonMb: 51.2 });
  assertThrows(() => residentMemory(1, "Name:\tx\n"), Error, "VmRSS");
});

Deno.test("/proc/<pid>/stat: time in user mode and in the kernel, whatever the program is called", () => {
  const stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 900 8 0 0 " +
    "150 50 3 4 20 0 12 0 100 0 0";
  assertEquals(processSeconds(7, stat), 2);
  assertThrows(() => processSeconds(7, "7 (deno) S 1"), Error, "process 7");
});
