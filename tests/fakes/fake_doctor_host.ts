/**
 * A host in memory for the checks of `loden doctor`: healthy until a test changes
 * it.
 *
 * @module
 */

import { BACKENDS } from "../../backend/backends.ts";
import { FEATURES, type PartTrial } from "../../backend/feature_trials.ts";
import type {
  AgentSight,
  Check,
  DoctorHost,
  KnownNetwork,
  RunningEngine,
} from "../../commands/doctor/check.ts";
import type { Finding } from "../../commands/doctor/finding.ts";
import { parseNetworkConfig } from "../../config/network/network.ts";
import { resolveSettings } from "../../config/settings.ts";
import type { FlanneldProcess } from "../../host/flanneld_process.ts";
import type { EndpointReport } from "../../lease/etcd/endpoint_report.ts";
import type { Lease } from "../../lease/lease.ts";
import type { ModuleState } from "../../linux/kernel_module.ts";
import { parseCidr } from "../../net/cidr.ts";
import { parseIpv4 } from "../../net/ipv4.ts";
import { overlayMtu } from "../../net/mtu.ts";
import { FakeCommandRunner, type FakeProgram } from "./fake_command_runner.ts";
import { FakeRtnetlink } from "./fake_rtnetlink.ts";

const NEVER = new AbortController().signal;
const NETWORK = parseCidr("10.1.0.0/16")!;
const SUBNET = parseCidr("10.1.5.0/24")!;
const RAW = '{"Network":"10.1.0.0/16"}';
/** A host id. */
export const HOST_ID = "0".repeat(31) + "1";

/** Its parts; each can be changed. */
export class FakeDoctorHost {
  argv: readonly string[] = [];
  isRoot = true;
  canLoadModules = true;
  readonly rtnetlink = new FakeRtnetlink();
  readonly files = new Map<string, string>([
    ["/proc/sys/net/ipv4/ip_forward", "1\n"],
    ["/proc/sys/net/ipv4/conf/all/rp_filter", "0\n"],
    ["/proc/sys/net/ipv4/conf/eth0/rp_filter", "2\n"],
    ["/proc/sys/net/ipv4/neigh/default/gc_thresh3", "1024\n"],
    ["/proc/sys/kernel/unprivileged_bpf_disabled", "2\n"],
  ]);
  readonly modules = new Map<string, ModuleState>();
  /** Features that do not work, and why. */
  readonly broken = new Map<string, string>();
  /** What to do about them, where a trial knows it. */
  readonly fixes = new Map<string, string>();
  trialFailure: Error | undefined;
  parts: readonly PartTrial[] | undefined;
  /** Features that were tried. */
  tried: readonly string[] = [];
  programs: Record<string, FakeProgram> = {
    "iptables": () => ({ stdout: "iptables v1.8.11 (nf_tables)\n" }),
    "iptables-save": () => ({
      stdout: "*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n",
    }),
    "nft": (words) => ({
      stdout: words[0] === "--version" ? "nftables v1.1.3\n" : "",
    }),
  };
  nowMs = Date.UTC(2026, 0, 1);
  clock = { synchronized: true, maxErrorMs: 12 };
  etcd: EndpointReport[] = [{
    url: "http://192.0.2.1:2379",
    version: "3.5.16",
    healthy: true,
    latencyMs: 2,
    aheadMs: { least: -400, most: 700 },
    denied: [],
  }];
  known: KnownNetwork = {
    config: parseNetworkConfig(RAW, BACKENDS),
    failure: undefined,
    leases: [],
    subnetEnv: {
      network: NETWORK,
      subnet: SUBNET,
      mtuBytes: overlayMtu(1472),
      ipMasq: true,
    },
    backends: [],
    hostId: HOST_ID,
    network: NETWORK,
  };
  sight: AgentSight = { kind: "absent" };
  dockerd: RunningEngine | undefined;
  flanneld: FlanneldProcess | undefined;

  constructor() {
    const eth0 = this.rtnetlink.addLink({
      name: "eth0",
      up: true,
      carrier: true,
    });
    this.rtnetlink.addAddress(eth0.index, "192.0.2.11/24");
    this.rtnetlink.addRoute({
      destination: parseCidr("0.0.0.0/0")!,
      gateway: parseIpv4("192.0.2.1")!,
      interfaceIndex: eth0.index,
    });
    for (const name of MODULES) this.modules.set(name, "present");
  }

  /** Publishes this in place of the config. */
  publish(config: Readonly<Record<string, unknown>>): void {
    const raw = JSON.stringify({ Network: "10.1.0.0/16", ...config });
    this.known = { ...this.known, config: parseNetworkConfig(raw, BACKENDS) };
  }

  /** Docker runs with these words behind `dockerd`. */
  startDocker(...words: string[]): void {
    this.dockerd = {
      words: ["/usr/bin/dockerd", ...words],
      describe: () =>
        Promise.resolve({ version: "28.2.1", firewall: "iptables" }),
    };
  }

  /** As the checks see it. */
  async open(): Promise<DoctorHost & Disposable> {
    const settings = await resolveSettings({
      argv: this.argv,
      env: {},
      readFile: () => Promise.reject(new Error("no file is asked for")),
    });
    return {
      settings,
      isRoot: this.isRoot,
      kernelRelease: "6.12.41",
      rtnetlink: this.rtnetlink,
      runner: new FakeCommandRunner(this.programs),
      readText: (path) => this.files.get(path),
      exists: (path) => this.files.has(path),
      moduleState: (name) => this.modules.get(name),
      canLoadModules: this.canLoadModules,
      tryFeatures: (features) => {
        if (this.trialFailure) return Promise.reject(this.trialFailure);
        this.tried = features;
        return Promise.resolve(features.map((feature) => {
          const reason = this.broken.get(feature);
          return {
            feature,
            works: reason === undefined,
            detail: reason ?? "",
            ...this.fixes.has(feature) && { fix: this.fixes.get(feature)! },
            ...feature === "bpf" && this.parts && { parts: this.parts },
          };
        }));
      },
      clockSync: () => this.clock,
      nowMs: () => this.nowMs,
      etcd: () => Promise.resolve(this.etcd),
      network: () => Promise.resolve(this.known),
      agent: () => Promise.resolve(this.sight),
      engine: () => Promise.resolve(this.dockerd),
      findFlanneld: () => this.flanneld,
      [Symbol.dispose]: () => {},
    };
  }

  /** What one check finds. */
  async find({ run }: Check): Promise<readonly Finding[]> {
    return await run(await this.open(), NEVER);
  }
}

const MODULES = [
  ...FEATURES,
  "sch_ingress",
  "cls_bpf",
  "nf_tables",
];

/** Another host's lease. */
export function leaseOf(
  subnet: string,
  publicIp: string,
  hostId?: string,
): Lease {
  const cidr = parseCidr(subnet)!;
  return {
    name: subnet.replace("/", "-"),
    subnet: cidr,
    etcdLeaseId: "1",
    createRevision: "1",
    modRevision: "1",
    attributes: {
      publicIp: parseIpv4(publicIp)!,
      backendType: "udp",
      ...hostId === undefined ? {} : { hostId },
    },
  };
}

/** Those that are not ok: `severity code: fix`. */
export function worse(findings: readonly Finding[]): string[] {
  return findings.filter(({ severity }) => severity !== "ok")
    .map(({ code, fix, severity }) =>
      `${severity} ${code}${fix === undefined ? "" : `: ${fix}`}`
    );
}
