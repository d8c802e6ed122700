/**
 * What a bundle consists of.
 *
 * Nothing is gathered whose text is known to hold secrets: no `wg showconf`, no
 * `ip xfrm state`, no command lines, no unit files, no environment files.
 *
 * @module
 */

import { deviceAlias, footprintPath } from "../../agent/instance/footprint.ts";
import {
  type InstancePaths,
  stateFile,
} from "../../agent/instance/instance.ts";
import { fetchMetrics, fetchStatus } from "../../agent/status/status_client.ts";
import { ownershipOf } from "../../backend/udp/ebpf/ownership.ts";
import type { Settings } from "../../config/settings.ts";
import { describeEngine, isEngineRunning } from "../../host/docker/engine.ts";
import type { CommandRunner } from "../../linux/command.ts";
import { readIfThere } from "../../linux/read_if_there.ts";
import { renderSettings } from "../config/settings_text.ts";
import { renderStatus } from "../status/status_text.ts";
import { describeVersions } from "../version.ts";
import type { AgentProcess } from "../agent_process.ts";
import { askAgent } from "../ask_agent.ts";
import { once } from "../once.ts";
import { readEnd, readFiles } from "./files.ts";
import { type Gathered, outputs, type Part } from "./gather.ts";
import { describePrograms } from "./kernel_programs.ts";
import { describeKernel } from "./kernel_state.ts";
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

/** `loden status` gives the agent less; a bundle is worth a moment. */
const AGENT_LIMIT_MS = 3_000;
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
  const asked = <T>(
    fetch: (socket: string, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ) => askAgent(paths, fetch, { limitMs: AGENT_LIMIT_MS, signal });
  const status = once((signal: AbortSignal) => asked(fetchStatus, signal));
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
      gather: async (signal) => ({ text: await asked(fetchMetrics, signal) }),
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
