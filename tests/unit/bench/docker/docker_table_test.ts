import { assertEquals } from "@std/assert";
import type { DockerReport } from "../../../../bench/docker/docker_report.ts";
import { renderDockerReport } from "../../../../bench/docker/docker_table.ts";

const REPORT: DockerReport = {
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
  seconds: 5,
  program: "binary",
  dockerVersion: "26.1.5",
  throughput: {
    "udp-tun": {
      super: {
        plainGbps: 10,
        dockerGbps: 9.5,
        ratio: { median: 0.95, least: 0.9, most: 1 },
      },
    },
    vxlan: {
      software: {
        plainGbps: 4,
        dockerGbps: 4,
        ratio: { median: 1, least: 1, most: 1 },
      },
    },
  },
  agents: { "udp-tun": { startMs: 240.4, rssMb: 80.2, rssAnonMb: 40.1 } },
  upgrades: {
    "udp-tun": [
      {
        pingSent: 500,
        pingLost: 7,
        pingOutageMs: 35,
        streamAlive: true,
        streamPauseMs: 300,
      },
      {
        pingSent: 400,
        pingLost: 0,
        pingOutageMs: 0,
        streamAlive: false,
        streamPauseMs: 0,
      },
    ],
  },
};

Deno.test("the report has a line for each path and mode, one for the unit, one for each upgrade", () => {
  const [head, ...lines] = renderDockerReport(REPORT).split("\n");
  assertEquals(
    head,
    "2 x Some CPU, Linux 6.12, cubic; Docker 26.1.5; Loden's binary; median " +
      "of 3 x 5 s",
  );
  assertEquals(lines.filter((line) => line.startsWith("  ")), [
    "  vxlan            software    4.00    4.00    1.00   1.00 - 1.00",
    "  udp-tun          super      10.00    9.50    0.95   0.90 - 1.00",
    "  udp-tun          240 ms from exec to subnet.env, 80 MB resident under " +
    "load, 40 MB without the runtime's files",
    "  udp-tun          7 of 500 pings lost, the stream lives, paused 300 ms",
    "  udp-tun          0 of 400 pings lost, the stream ended",
  ]);
});

Deno.test("what was not measured has no heading", () => {
  const { agents: _, throughput: __, upgrades: ___, ...rest } = REPORT;
  const text = renderDockerReport({
    ...rest,
    throughput: {},
    agents: {},
    upgrades: {},
  });
  assertEquals(text.split("\n").length, 1);
});
