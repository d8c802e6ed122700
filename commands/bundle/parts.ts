/**
 * What a bundle consists of.
 *
 * Nothing is gathered whose text is known to hold secrets: no `wg showconf`, no
 * `ip xfrm state`, no command lines, no unit files, no environment files.
 *
 * @module
 */

import { AgentNotRunningError } from "../../agent/errors.ts";
import { deviceAlias, footprintPath } from "../../agent/instance/footprint.ts";
import {
  type InstancePaths,
  stateFile,
} from "../../agent/instance/instance.ts";
import { fetchMetrics, fetchStatus } from "../../agent/status/status_client.ts";
import { ownershipOf } from "../../backend/udp/ebpf/ownership.ts";
import type { Settings } from "../../config/settings.ts";
import { LodenError } from "../../errors.ts";
import { describeEngine, isEngineRunning } from "../../host/docker/engine.ts";
import type { CommandRunner } from "../../linux/command.ts";
import { FileReadError } from "../../linux/file_errors.ts";
import { readIfThere } from "../../linux/read_if_there.ts";
import { readSysctl } from "../../linux/sysctl.ts";
import { renderSettings } from "../config/settings_text.ts";
import { renderStatus } from "../status/status_text.ts";
import { describeVersions } from "../version.ts";
import type { AgentProcess } from "../agent_process.ts";
import { once } from "../once.ts";
import { type Gathered, outputs, type Part } from "./gather.ts";
import { describePrograms } from "./kernel_programs.ts";
import { describeWireguard } from "./wireguard_devices.ts";

/** What the parts are gathered from. */
export interface BundleSources {
  readonly runner: CommandRunner;
  /** What `loden doctor` prints. */
  readonly doctor: (settings: Settings) => Promise<string>;
  readonly paths: InstancePaths;
  readonly agent: AgentProcess | undefined;
  /** The running agent's, if they can be read. */
  readonly agentSettings: Settings | undefined;
  /** From the command's own command line and environment. */
  readonly commandSettings: Settings;
  /** Why some of the latter cannot be used. */
  readonly refusal: string | undefined;
  readonly nowMs: number;
}

/** `loden status` gives it less; a bundle is worth a moment. */
const STATUS_MS = 3_000;
const LOG_LINES = 5_000;
const LOG_BYTES = 4 * 1024 * 1024;
const UNIT = "loden.service";

/** In the order of the README. */
export function bundleParts(sources: BundleSources): Part[] {
  const { agent, paths, runner } = sources;
  const settings = sources.agentSettings ?? sources.commandSettings;
  const commands = (...lines: string[]) => (signal: AbortSignal) =>
    outputs(runner, lines, signal);
  const unit = agent?.unit ?? UNIT;
  const status = once((signal: AbortSignal) =>
    ofAgent(sources, signal, (signal) => fetchStatus(paths.socket, signal))
  );
  return [
    {
      file: "status.txt",
      about: "what `loden status` shows",
      gather: async (signal) => ({
        text: renderStatus(await status(signal), { nowMs: sources.nowMs }),
      }),
    },
    {
      file: "status.json",
      about: "the same as JSON: docs/status.schema.json describes it",
      gather: async (signal) => ({
        text: JSON.stringify(await status(signal), undefined, 1),
      }),
    },
    {
      file: "metrics.txt",
      about: "the agent's metrics for Prometheus",
      gather: (signal) =>
        ofAgent(sources, signal, (signal) => fetchMetrics(paths.socket, signal))
          .then((text) => ({ text })),
    },
    {
      file: "doctor.txt",
      about: "what `loden doctor` shows",
      gather: async () => ({ text: await sources.doctor(settings) }),
    },
    {
      file: "settings.txt",
      about: "every setting, its value and where it comes from",
      gather: () => describeSettings(sources),
    },
    {
      file: "log.txt",
      about:
        `the end of the agent's log: of its file, or the journal of ${unit}`,
      gather: (signal) => readLog(sources, unit, signal),
    },
    {
      file: "files.txt",
      about: "what the agent has written: options for Docker, state, record",
      gather: () =>
        readFiles([
          settings.subnetFile,
          ...settings.dockerOptsFile === undefined
            ? []
            : [settings.dockerOptsFile],
          footprintPath(paths),
          stateFile(settings.stateDir, paths.name),
        ], [settings.runDir, settings.stateDir]),
    },
    {
      file: "nftables.txt",
      about: "all nftables rules, with counters",
      gather: commands("nft -a list ruleset"),
    },
    {
      file: "iptables.txt",
      about: "all iptables rules, with counters, of both kinds of iptables",
      gather: commands(
        "iptables-nft-save -c",
        "iptables-legacy-save -c",
      ),
    },
    {
      file: "links.txt",
      about: "network devices, with counters, and their addresses",
      gather: commands("ip -s -d link show", "ip -d address show"),
    },
    {
      file: "routes.txt",
      about: "routes of all tables, and the rules that choose a table",
      gather: commands(
        "ip -d rule show",
        "ip -d route show table all",
      ),
    },
    {
      file: "neighbours.txt",
      about:
        "neighbours, the forwarding databases of bridges and VXLAN devices",
      gather: commands(
        "ip -s neighbour show",
        "bridge -s -d fdb show",
        "bridge -d link show",
      ),
    },
    {
      file: "programs.txt",
      about: "Loden's programs and maps in the kernel, and where they run",
      gather: () => ({ text: describePrograms(ownershipOf(alias(settings))) }),
    },
    {
      file: "queues.txt",
      about: "queueing disciplines and their filters",
      gather: commands("tc -s qdisc show"),
    },
    {
      file: "wireguard.txt",
      about: "Loden's WireGuard devices and their peers, without secret keys",
      gather: () => ({ text: describeWireguard(alias(settings)) }),
    },
    {
      file: "kernel.txt",
      about: "kernel settings, counters of the protocols, modules",
      gather: () => describeKernel(),
    },
    {
      file: "docker.txt",
      about: "the version of the Docker daemon, and the tool for its rules",
      gather: async () => ({
        text: await isEngineRunning()
          ? `${JSON.stringify(await describeEngine(), undefined, 1)}\n`
          : "no Docker daemon runs in this network namespace\n",
      }),
    },
    {
      file: "units.txt",
      about: "the state of systemd's units",
      gather: commands(
        `systemctl show --property=${UNIT_PROPERTIES} ` +
          `${unit} docker.service etcd.service loden-cleanup.service`,
      ),
    },
    {
      file: "versions.txt",
      about: "versions of Loden, its runtime, the kernel and the tools",
      gather: (signal) => describeTools(runner, signal),
    },
  ];
}

/** Without those that show a command line or an environment. */
const UNIT_PROPERTIES = [
  "Id",
  "LoadState",
  "ActiveState",
  "SubState",
  "Result",
  "UnitFileState",
  "FragmentPath",
  "DropInPaths",
  "NRestarts",
  "ExecMainStatus",
  "ExecMainStartTimestamp",
  "ActiveEnterTimestamp",
  "InactiveEnterTimestamp",
  "StatusText",
  "After",
  "Before",
].join(",");

function alias({ etcdPrefix }: Settings): string {
  return deviceAlias(etcdPrefix);
}

/** What the agent answers, if it does. */
async function ofAgent<T>(
  { agent, paths }: BundleSources,
  signal: AbortSignal,
  ask: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = AbortSignal.timeout(STATUS_MS);
  try {
    return await ask(AbortSignal.any([signal, late]));
  } catch (error) {
    if (!late.aborted) throw error;
    if (agent === undefined) throw new AgentNotRunningError(paths.socket);
    throw new LodenError(
      "bundle.agent-silent",
      `the agent, process ${agent.pid}, has not answered within ` +
        `${STATUS_MS / 1_000} seconds`,
    );
  }
}

function describeSettings(
  { agent, agentSettings, commandSettings, refusal }: BundleSources,
): Gathered {
  const missing: string[] = [];
  if (agent !== undefined && agentSettings === undefined) {
    missing.push(
      "the running agent's settings: they cannot be read (run it as root)",
    );
  }
  if (refusal !== undefined) missing.push(refusal);
  const blocks = [
    ...agentSettings === undefined ? [] : [
      `# of the running agent, process ${agent?.pid}\n` +
      renderSettings(withoutAccount(agentSettings)),
    ],
    "# from the command line and environment of loden bundle\n" +
    renderSettings(withoutAccount(commandSettings)),
  ];
  return { text: blocks.join("\n"), missing };
}

/** The table hides the password. The name and a command may say something too. */
function withoutAccount(settings: Settings): Settings {
  return {
    ...settings,
    entries: settings.entries.map((entry) => {
      const { flag: { name }, value } = entry;
      const isHidden = name === "etcd-username" ||
        (name === "on-subnet-change" && String(value).startsWith("run:"));
      return isHidden && value !== "" ? { ...entry, value: "hidden" } : entry;
    }),
  };
}

async function readLog(
  { agent, runner }: BundleSources,
  unit: string,
  signal: AbortSignal,
): Promise<Gathered> {
  if (agent?.logFile !== undefined) {
    return { text: await readEnd(agent.logFile, LOG_BYTES) };
  }
  return await outputs(runner, [
    `journalctl --no-pager --no-hostname --output=short-iso-precise ` +
    `--lines=${LOG_LINES} --unit=${unit}`,
  ], signal);
}

async function readEnd(path: string, bytes: number): Promise<string> {
  try {
    using file = await Deno.open(path);
    const { size } = await file.stat();
    const start = Math.max(0, size - bytes);
    await file.seek(start, Deno.SeekMode.Start);
    const text = await new Response(file.readable).text();
    // Half of a secret would not be recognised.
    return start === 0 ? text : text.slice(text.indexOf("\n") + 1);
  } catch (error) {
    throw new FileReadError(path, error);
  }
}

/** The content of files, and a list of those in directories. */
async function readFiles(
  files: readonly string[],
  directories: readonly string[],
): Promise<Gathered> {
  const blocks: string[] = [];
  const missing: string[] = [];
  const attempt = async (
    what: string,
    read: () => Promise<string> | string,
  ) => {
    try {
      blocks.push(`# ${what}\n${await read()}`);
    } catch (error) {
      if (!(error instanceof Error && "code" in error)) throw error;
      missing.push(`${what}: ${error.message.split(" (os error")[0]}`);
    }
  };
  for (const path of directories) await attempt(path, () => listFiles(path));
  for (const path of files) {
    await attempt(path, () => Deno.readTextFile(path));
  }
  return { text: blocks.join("\n"), missing };
}

function listFiles(directory: string): string {
  return [...Deno.readDirSync(directory)].map(({ name }) => {
    const { mode, mtime, size, uid } = Deno.lstatSync(`${directory}/${name}`);
    const bits = ((mode ?? 0) & 0o7777).toString(8).padStart(4, "0");
    return `${bits} ${uid} ${size} ${mtime?.toISOString()} ${name}\n`;
  }).sort().join("");
}

/** Those that decide about the overlay's packets. */
const SYSCTLS: readonly string[] = [
  "kernel/osrelease",
  "kernel/unprivileged_bpf_disabled",
  "net/core/bpf_jit_enable",
  "net/core/rmem_max",
  "net/core/wmem_max",
  "net/core/netdev_max_backlog",
  "net/ipv4/ip_forward",
  "net/ipv4/ip_no_pmtu_disc",
  "net/ipv4/icmp_ratelimit",
  "net/ipv4/neigh/default/gc_thresh1",
  "net/ipv4/neigh/default/gc_thresh2",
  "net/ipv4/neigh/default/gc_thresh3",
  "net/bridge/bridge-nf-call-iptables",
  "net/netfilter/nf_conntrack_max",
  "net/netfilter/nf_conntrack_count",
  "user/max_net_namespaces",
];
/** Of each device. */
const DEVICE_SYSCTLS: readonly string[] = [
  "forwarding",
  "rp_filter",
  "accept_local",
  "arp_ignore",
  "arp_announce",
  "promote_secondaries",
];
const COUNTERS: readonly string[] = ["/proc/net/snmp", "/proc/net/netstat"];

function describeKernel(): Gathered {
  const devices = [...Deno.readDirSync("/proc/sys/net/ipv4/conf")]
    .map(({ name }) => name).sort();
  const names = [
    ...SYSCTLS,
    ...devices.flatMap((device) =>
      DEVICE_SYSCTLS.map((name) => `net/ipv4/conf/${device}/${name}`)
    ),
  ];
  const values = names.map((name) =>
    `${name} = ${readSysctl(name) ?? "no such setting"}\n`
  );
  const modules = readIfThere("/proc/modules")?.split("\n")
    // The addresses in the kernel would help an attacker.
    .map((line) => line.split(" ")[0]).filter((name) => name !== "").sort();
  const counters = COUNTERS.map((path) => `# ${path}\n${readIfThere(path)}`);
  return {
    text: [
      `# /proc/sys\n${values.join("")}`,
      `# modules\n${(modules ?? ["unknown"]).join(" ")}\n`,
      ...counters,
    ].join("\n"),
  };
}

async function describeTools(
  runner: CommandRunner,
  signal: AbortSignal,
): Promise<Gathered> {
  const system = readIfThere("/etc/os-release") ?? "";
  const [name = "unknown"] = /(?<=^PRETTY_NAME=).*/m.exec(system) ?? [];
  const tools = await outputs(runner, [
    "iptables --version",
    "nft --version",
    "ip -Version",
    "tc -Version",
    "systemctl --version",
    "docker --version",
    "etcdctl version",
  ], signal);
  return {
    text: `${await describeVersions()}system       ${name}\n\n${tools.text}`,
    ...tools.missing === undefined ? {} : { missing: tools.missing },
  };
}
