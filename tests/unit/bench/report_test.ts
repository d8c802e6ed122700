import { assert, assertEquals, assertThrows } from "@std/assert";
import { median } from "../../../bench/median.ts";
import {
  type BenchReport,
  medianFigures,
  type PathFigures,
} from "../../../bench/report.ts";
import { renderReport } from "../../../bench/table.ts";

const FIGURES: PathFigures = {
  tcpGbps: 4,
  tcp8Gbps: 5,
  rrPerSecond: 10_000,
  rrP50Us: 90,
  rrP99Us: 150,
  pps64: 100_000,
  cpuSecondsPerGbit: 0.2,
};

const REPORT: BenchReport = {
  schema: 1,
  host: {
    cpuModel: "Some CPU",
    cpus: 2,
    memoryMb: 1000,
    kernel: "6.12",
    architecture: "x86_64",
    congestionControl: "cubic",
    deno: "2.9.6",
  },
  runs: 3,
  paths: {
    vxlan: { super: FIGURES, software: FIGURES },
    "udp-tun": {
      super: { ...FIGURES, tcpGbps: 3 },
      software: { ...FIGURES, tcpGbps: 0 },
    },
  },
  agent: { startMs: 250, rssMb: 80, rssAnonMb: 40 },
};

Deno.test("the median is the value in the middle, or the mean of two", () => {
  assertEquals(median([3]), 3);
  assertEquals(median([9, 1, 5]), 5);
  assertEquals(median([10, 2, 4, 100]), 7);
  assertThrows(() => median([]), RangeError);
});

Deno.test("each figure has its own median, of four digits", () => {
  const runs = [
    { ...FIGURES, tcpGbps: 1.234567, rrP99Us: 3 },
    { ...FIGURES, tcpGbps: 9, rrP99Us: 1 },
    { ...FIGURES, tcpGbps: 1, rrP99Us: 2 },
  ];
  assertEquals(medianFigures(runs), { ...FIGURES, tcpGbps: 1.235, rrP99Us: 2 });
});

Deno.test("the table shows every path beside VXLAN, in both modes", () => {
  const text = renderReport(REPORT);
  assertEquals(text.match(/^ {4}udp-tun/gm)!.length, 14);
  assert(/udp-tun +3\.00 +█+ +0\.75 of vxlan/.test(text), text);
  assert(/udp-tun +0\.00 +0\.00 of vxlan/.test(text), text);
  assert(text.includes("250 ms from exec to subnet.env"));
});

Deno.test("without VXLAN there are no ratios, without agent no agent's line", () => {
  const { vxlan: _, ...paths } = REPORT.paths;
  const text = renderReport({ ...REPORT, paths, agent: null });
  assert(!text.includes("of vxlan"));
  assert(!text.includes("agent:"));
});
