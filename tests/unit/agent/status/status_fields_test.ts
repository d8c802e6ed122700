import { assert, assertEquals } from "@std/assert";
import { warningDefinitions } from "../../../../agent/status/health.ts";
import type { StatusSnapshot } from "../../../../agent/status/status_snapshot.ts";
import { statusFaults, undescribed } from "../../../support/status_schema.ts";

/** Every field, so that the compiler names one that is missing here. */
const FULL:
  & Required<StatusSnapshot>
  & {
    readonly [Part in "underlay" | "overlay" | "lease" | "docker"]: Required<
      NonNullable<StatusSnapshot[Part]>
    >;
  }
  & { readonly backend: Required<NonNullable<StatusSnapshot["backend"]>> } = {
    schema: 1,
    time: "2026-01-01T00:00:00.000Z",
    version: "0.1.0",
    pid: 1,
    instance: "coreos.com-network",
    etcdPrefix: "/coreos.com/network",
    etcdEndpoints: ["http://192.0.2.1:2379"],
    phase: "running",
    phaseSince: "2026-01-01T00:00:00.000Z",
    ready: true,
    fromSavedState: false,
    waitingFor: null,
    network: "10.1.0.0/16",
    subnet: "10.1.5.0/24",
    underlay: {
      interface: "eth0",
      address: "192.0.2.11",
      publicIp: "192.0.2.11",
      mtuBytes: 1500,
    },
    overlay: { device: "flannel0", mtuBytes: 1472 },
    lease: {
      subnet: "10.1.5.0/24",
      state: "held",
      cause: null,
      causeCode: null,
      since: "2026-01-01T00:00:00.000Z",
      expires: null,
    },
    backend: {
      type: "udp",
      dataPath: "ebpf",
      reason: "it works",
      device: "flannel0",
      peers: 1,
      outlivesAgent: true,
      details: {},
      counters: {},
    },
    backendRestarts: 0,
    peers: [{
      subnet: "10.1.6.0/24",
      publicIp: "192.0.2.12",
      backendType: "udp",
      dataPath: null,
      confirmed: null,
      since: null,
      stale: false,
      probe: {
        state: "reachable",
        since: "2026-01-01T00:00:00.000Z",
        way: "udp",
        rttMs: 0.3,
        lossRatio: 0,
        mtuBytes: 1472,
        lastAnswer: "2026-01-01T00:00:00.000Z",
      },
    }],
    probes: {
      port: 8286,
      address: "10.1.5.0",
      failure: null,
      reachable: 1,
      unreachable: 0,
      unknown: 0,
      counters: { sent: 1 },
    },
    firewall: null,
    docker: { version: null, bridge: null, firewall: null },
    files: [{ path: "/run/flannel/subnet.env", written: true }],
    web: null,
    warnings: [{
      code: "etcd.unavailable",
      severity: "warning",
      text: "",
      impairs: "",
      since: "2026-01-01T00:00:00.000Z",
      dependsOn: [],
      visible: true,
    }],
  };

Deno.test("docs/status.schema.json accepts a status and describes each of its fields", () => {
  assertEquals(statusFaults(FULL), []);
  assertEquals(undescribed(FULL), []);
});

Deno.test("docs/status.schema.json refuses a status that lacks a field or has another value in it", () => {
  for (const name of Object.keys(FULL)) {
    const { [name as keyof typeof FULL]: _, ...rest } = FULL;
    assert(statusFaults(rest).length > 0, name);
  }
  const [peer] = FULL.peers;
  const [warning] = FULL.warnings;
  for (
    const part of [
      { phase: "walking" },
      { phaseSince: "yesterday" },
      { peers: [{ ...peer, stale: null }] },
      { warnings: [{ ...warning, severity: "note" }] },
    ]
  ) assert(statusFaults({ ...FULL, ...part }).length > 0, JSON.stringify(part));
});

/** What stands under a heading of docs/cli.md. */
function section(heading: string): string {
  const text = Deno.readTextFileSync(
    new URL("../../../../docs/cli.md", import.meta.url),
  );
  return text.split(`\n## ${heading}\n`)[1]!.split("\n## ")[0]!;
}

/** The fields in the first cells of the table. */
function documented(): string[] {
  return [...section("`loden status --json`").matchAll(/^\| (`.+?) +\| /gm)]
    .flatMap(([, names]) => words(names!));
}

/** What stands in backquotes. */
function words(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, word]) => word!);
}

Deno.test("docs/cli.md lists every field of loden status --json, and no other", () => {
  assertEquals(documented().sort(), Object.keys(FULL).sort());
});

Deno.test("docs/cli.md lists every warning with its severity, what it impairs and whether /healthz tells, and no other", () => {
  const listed = [
    ...section("Warnings").matchAll(
      /^\| `(.+?)` +\| (.+?) +\| (.+?) +\| (.*?) *\|$/gm,
    ),
  ].map(([, ...cells]) => cells);
  assertEquals(
    listed,
    Object.entries(warningDefinitions).map((
      [code, { impairs, restartMayCure, severity }],
    ) => [code, severity, impairs, restartMayCure ? "503" : ""]),
  );
});

Deno.test("docs/cli.md lists every warning that another one hides, and no other", () => {
  const listed = [
    ...section("Warnings").matchAll(/^\| (`[^|]+`) +\| (`[^|]+`) +\|$/gm),
  ].map(([, code, causes]) => [words(code!)[0], words(causes!)]);
  assertEquals(
    listed.toSorted(),
    Object.entries(warningDefinitions)
      .filter(([, { dependsOn }]) => dependsOn.length > 0)
      .map(([code, { dependsOn }]) => [code, dependsOn]).toSorted(),
  );
});
