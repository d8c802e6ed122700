import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  medianFigures,
  type PathFigures,
  runFigures,
} from "../../../bench/figures.ts";
import { median } from "../../../bench/median.ts";
import { ratiosTo } from "../../../bench/ratios.ts";
import type { BenchReport } from "../../../bench/report.ts";
import { renderReport } from "../../../bench/table.ts";

const FIGURES: PathFigures = {
  tcpGbps: 4,
  tcp8Gbps: 5,
  rrPerSecond: 10_000,
  rrP50Us: 90,
  rrP99Us: 150,
  pps64: 100_000,
  udpSegmentPps: 200_000,
  cpuSecondsPerGbit: 0.2,
  senderCpuSecondsPerGbit: 0.15,
  receiverCpuSecondsPerGbit: 0.1,
};

const REPORT: BenchReport = {
  schema: 2,
  host: {
    cpuModel: "Some CPU",
    cpus: 2,
    memoryMb: 1000,
    kernel: "6.12",
    architecture: "x86_64",
    congestionControl: "cubic",
    deno: "2.9.6",
  },
  program: "source",
  runs: 3,
  seconds: 5,
  paths: {
    vxlan: { super: FIGURES, software: FIGURES },
    "udp-tun": { super: { ...FIGURES, tcpGbps: 3 }, software: FIGURES },
    "udp-ebpf-xdp": { software: { ...FIGURES, tcpGbps: 0 } },
  },
  ratiosTo: "vxlan",
  ratios: {
    "udp-tun": {
      super: { tcpGbps: { median: 0.75, least: 0.7, most: 0.8 } },
    },
    "udp-ebpf-xdp": {
      software: { tcpGbps: { median: 1.1, least: 1, most: 1.25 } },
    },
  },
  underlayRatios: {},
  receive: { "udp-ebpf-xdp": { software: "xdp" } },
  agents: {
    "udp-tun": { startMs: 250, loadMs: null, rssMb: 80, rssAnonMb: 40 },
    "udp-ebpf-xdp": { startMs: 240, loadMs: 9.5, rssMb: null, rssAnonMb: null },
  },
  restart: {
    "udp-tun": [{
      mode: "super",
      action: "kill",
      etcd: "away",
      pingSent: 400,
      pingLost: 80,
      pingOutageMs: 395,
      streamAlive: false,
      streamPauseMs: 1300,
    }],
  },
  versions: { fastd: "23" },
};

Deno.test("the median is the value in the middle, or the mean of two", () => {
  assertEquals(median([3]), 3);
  assertEquals(median([9, 1, 5]), 5);
  assertEquals(median([10, 2, 4, 100]), 7);
  assertThrows(() => median([]), RangeError);
});

Deno.test("a run has the values of its turns, by figure", () => {
  assertEquals(
    runFigures([{ pps64: 3 }, { pps64: 1 }, { tcpGbps: 2 }]),
    { tcpGbps: [2], pps64: [3, 1] },
  );
});

Deno.test("each figure has its own median of the runs' medians, of four digits", () => {
  const runs = [
    { tcpGbps: [1.234567], rrP99Us: [3, 3, 100] },
    { tcpGbps: [9], rrP99Us: [1] },
    { tcpGbps: [1], rrP99Us: [2, 2, 2] },
  ];
  assertEquals(medianFigures(runs), { tcpGbps: 1.235, rrP99Us: 2 });
});

Deno.test("a figure that some run lacks has no median", () => {
  assertEquals(
    medianFigures([{ tcpGbps: [1], pps64: [2] }, { tcpGbps: [3] }]),
    { tcpGbps: 2 },
  );
});

Deno.test("a ratio is taken within a run, and then the median", () => {
  // The machine became twice as fast: the ratio of the medians would be 1.5.
  assertEquals(
    ratiosTo(
      [{ tcpGbps: [1] }, { tcpGbps: [2] }, { tcpGbps: [2] }],
      [{ tcpGbps: [1.5] }, { tcpGbps: [2.2] }, { tcpGbps: [3.2] }],
    ),
    { tcpGbps: { median: 1.5, least: 1.1, most: 1.6 } },
  );
});

Deno.test("a run's ratio is the median of those of its turns", () => {
  // Within the run, the machine is at times three times as fast as at others:
  // the ratio of the medians would be 0.3.
  assertEquals(
    ratiosTo(
      [{ pps64: [1, 3, 1, 3, 3] }],
      [{ pps64: [0.9, 2.7, 0.9, 0.9, 2.7] }],
    ),
    { pps64: { median: 0.9, least: 0.9, most: 0.9 } },
  );
});

Deno.test("there is no ratio to what was not measured, or was nothing", () => {
  assertEquals(ratiosTo([{}], [{ tcpGbps: [1] }]), {});
  assertEquals(ratiosTo([{ tcpGbps: [0] }], [{ tcpGbps: [1] }]), {});
  assertEquals(ratiosTo([], [{ tcpGbps: [1] }]), {});
});

Deno.test("the table shows every figure of every path, in the modes that it has", () => {
  const text = renderReport(REPORT);
  const figures = text.slice(0, text.indexOf("ratios to"));
  assertEquals(figures.match(/^ {4}udp-tun /gm)!.length, 20);
  assertEquals(figures.match(/^ {4}udp-ebpf-xdp /gm)!.length, 10);
  assert(/udp-tun +3\.00 +█+$/m.test(figures), figures);
  assert(/udp-ebpf-xdp +0\.00 +xdp$/m.test(figures), figures);
  assert(figures.includes("\nsuper: ") && figures.includes("\nsoftware: "));
  assert(!figures.includes("\nwire: "));
});

Deno.test("the table of ratios has a column for each mode", () => {
  const text = renderReport(REPORT);
  assert(/^ +software +super$/m.test(text), text);
  assert(/^ +udp-tun +- +0\.75 {2}0\.70 - 0\.80$/m.test(text), text);
  assert(/^ +udp-ebpf-xdp +1\.10 {2}1\.00 - 1\.25 +-$/m.test(text), text);
});

Deno.test("the table of ratios says to what they are", () => {
  const said = (report: BenchReport) =>
    /^ratios to (\S+) in the same run/m.exec(renderReport(report))?.[1];
  assertEquals(said(REPORT), "vxlan");
  assertEquals(said({ ...REPORT, ratiosTo: "udp-tun" }), "udp-tun");
  assertEquals(said({ ...REPORT, ratiosTo: null, ratios: {} }), undefined);
});

Deno.test("the ratios to the bare underlay are a table of their own", () => {
  const text = renderReport({
    ...REPORT,
    underlayRatios: {
      vxlan: { super: { tcpGbps: { median: 0.81, least: 0.8, most: 0.9 } } },
    },
  });
  const [, , own] = text.split(/^ratios to /m);
  assert(own!.startsWith("underlay in the same run"), text);
  assert(/^ +vxlan +0\.81 {2}0\.80 - 0\.90$/m.test(own!), own);
});

Deno.test("a disturbance shows what was lost", () => {
  const text = renderReport(REPORT);
  assert(
    /udp-tun +super +kill +etcd away +80 of 400 pings lost, 395 ms, the stream ended, the stream paused 1300 ms$/m
      .test(text),
    text,
  );
});

Deno.test("an agent shows what was measured of it", () => {
  const text = renderReport(REPORT);
  assert(/udp-tun +250 ms from exec to subnet\.env, 80 MB/.test(text), text);
  assert(
    /udp-ebpf-xdp +240 ms from [^,]+, 9\.5 ms of it to load programs$/m
      .test(text),
    text,
  );
});

Deno.test("a report without VXLAN, agents and peers has none of their parts", () => {
  const text = renderReport({
    ...REPORT,
    ratios: {},
    agents: {},
    restart: {},
    versions: {},
  });
  for (const part of ["multiples", "agent", "pings", "beside it"]) {
    assert(!text.includes(part), part);
  }
});
