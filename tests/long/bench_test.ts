/**
 * `deno task bench` as a whole, on a small part of what it can measure.
 *
 * @module
 */

import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertMatch,
} from "@std/assert";
import { fromFileUrl } from "@std/path";
import { CONTROL_PATHS } from "../../bench/control/control_paths.ts";
import type { ControlReport } from "../../bench/control/control_report.ts";
import type { DockerReport } from "../../bench/docker/docker_report.ts";
import type { BenchReport } from "../../bench/report.ts";
import { attempt } from "../../tools/command.ts";

const MAIN = fromFileUrl(new URL("../../bench/main.ts", import.meta.url));

function bench(...args: string[]) {
  return attempt([Deno.execPath(), "run", "-A", MAIN, ...args]);
}

Deno.test("bench: both data paths and VXLAN, and an agent killed under traffic, as JSON", async () => {
  const { exitCode, stderr, stdout } = await bench(
    "--quick",
    "--paths=vxlan,udp-tun,udp-ebpf",
    "--modes=wire",
    "--figures=rr,start,restart",
    "--json",
  );
  assertEquals(exitCode, 0, stdout + stderr);
  const report = JSON.parse(
    stdout.trimEnd().split("\n").at(-1)!,
  ) as BenchReport;
  assertEquals(report.schema, 2);
  assertEquals(Object.keys(report.paths), ["vxlan", "udp-tun", "udp-ebpf"]);
  for (const [name, modes] of Object.entries(report.paths)) {
    assertEquals(Object.keys(modes), ["wire"], name);
    assertEquals(
      Object.keys(modes.wire!),
      ["rrPerSecond", "rrP50Us", "rrP99Us"],
      name,
    );
    assert(modes.wire!.rrPerSecond! > 0, name);
  }
  assertEquals(Object.keys(report.ratios), ["udp-tun", "udp-ebpf"]);
  assertEquals(Object.keys(report.receive), ["udp-ebpf"]);
  assertEquals(report.agents["udp-tun"]!.loadMs, null);
  assert(report.agents["udp-ebpf"]!.loadMs! > 0);
  for (const name of ["udp-tun", "udp-ebpf"] as const) {
    const { rssMb, startMs } = report.agents[name]!;
    assert(startMs! > 0 && rssMb! > 0, name);
    assertEquals(
      report.restart[name]!.map(({ action, etcd, mode, streamAlive }) => ({
        action,
        etcd,
        mode,
        streamAlive,
      })),
      [
        { action: "kill", etcd: "up", mode: "wire", streamAlive: true },
        { action: "upgrade", etcd: "away", mode: "wire", streamAlive: true },
      ],
      name,
    );
    assert(report.restart[name]!.every(({ pingSent }) => pingSent > 200), name);
  }
  // No agent carries packets while it is killed: without a loss here, the ping
  // would tell nothing.
  assert(report.restart["udp-tun"]![0]!.pingLost > 0);
});

Deno.test("bench: the control plane, on a thousand leases, as JSON", async () => {
  const { exitCode, stderr, stdout } = await bench(
    "--control",
    "--quick",
    "--json",
  );
  assertEquals(exitCode, 0, stdout + stderr);
  const report = JSON.parse(
    stdout.trimEnd().split("\n").at(-1)!,
  ) as ControlReport;
  const { changes, joiners, leases, runs, schema } = report;
  assertEquals(
    { changes, joiners, leases, runs, schema },
    { changes: 20, joiners: 20, leases: 1_000, runs: 1, schema: 1 },
  );
  assertEquals(Object.keys(report.agents), CONTROL_PATHS);
  for (const [name, figures] of Object.entries(report.agents)) {
    const { changeMaxMs, changeP50Ms, changeP99Ms } = figures;
    assert(figures.firstSyncMs > 0 && figures.rssMb > 0, name);
    assert(figures.idleCpuPercent >= 0, name);
    assert(changeP50Ms > 0, name);
    assert(changeP50Ms <= changeP99Ms && changeP99Ms <= changeMaxMs, name);
  }
  assert(report.together.joinMs > 0 && report.together.rejoinMs > 0);
});

Deno.test("bench --docker: with and without Docker, a start and an upgrade of the unit, as JSON", async () => {
  const { exitCode, stderr, stdout } = await bench(
    "--docker",
    "--quick",
    "--paths=udp-tun",
    "--modes=super",
    "--json",
  );
  assertEquals(exitCode, 0, stdout + stderr);
  const report = JSON.parse(
    stdout.trimEnd().split("\n").at(-1)!,
  ) as DockerReport;
  assertEquals(report.schema, 1);
  assertMatch(report.dockerVersion, /^\d+\.\d+/);
  const { dockerGbps, plainGbps, ratio } = report.throughput["udp-tun"]!.super!;
  assert(dockerGbps > 0 && plainGbps > 0);
  assertAlmostEquals(ratio.median, dockerGbps / plainGbps, 0.01);
  const { rssMb, startMs } = report.agents["udp-tun"]!;
  assert(startMs > 0 && rssMb > 0);
  const [upgrade] = report.upgrades["udp-tun"]!;
  assert(upgrade!.streamAlive && upgrade!.pingSent > 200);
  // In user space no program carries packets between the two agents: without a
  // loss here, the ping would tell nothing.
  assert(upgrade!.pingLost > 0);
});

Deno.test("bench: bad usage is exit code 2, and says how", async () => {
  const { exitCode, stderr } = await bench("--paths=ipip");
  assertEquals(exitCode, 2);
  assert(stderr.includes("--paths must be some of underlay,"), stderr);
  assert(stderr.includes("Usage: deno task bench"), stderr);
});
