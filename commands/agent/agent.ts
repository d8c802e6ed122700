/**
 * `loden agent`, and `loden` without a command: flanneld.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { Agent } from "../../agent/agent.ts";
import { FlanneldRunningError } from "../../agent/errors.ts";
import { exitCodes, signalExitCode } from "../../agent/exit_codes.ts";
import { serveHealth } from "../../agent/status/health_server.ts";
import { planListeners, routesUrl } from "../../agent/status/listener_plan.ts";
import { probeRoutes } from "../../agent/probe/probe_routes.ts";
import { instancePaths } from "../../agent/instance/instance.ts";
import { InstanceLock } from "../../agent/instance/instance_lock.ts";
import { claimNamespace } from "../../agent/instance/namespace_claim.ts";
import { LogObservers } from "../../agent/logging/log_observers.ts";
import { configureLogging } from "../../agent/logging/logging.ts";
import { Monitor } from "../../agent/monitor/monitor.ts";
import { monitorRoute } from "../../agent/monitor/monitor_route.ts";
import { refuseFilesOfOthers } from "../../agent/instance/other_agents.ts";
import { AgentMetrics } from "../../agent/metrics/agent_metrics.ts";
import { AgentState } from "../../agent/status/state.ts";
import { StatusServer } from "../../agent/status/status_server.ts";
import { feedWatchdog } from "../../agent/status/watchdog.ts";
import { AGENT_FLAGS } from "../../config/flags.ts";
import { parseGoFlags } from "../../config/go_flags.ts";
import { renderHelp } from "../help/help_text.ts";
import {
  requestOf,
  resolveSettings,
  type Settings,
} from "../../config/settings.ts";
import { whyConfined } from "../../host/confined_command.ts";
import { findFlanneld } from "../../host/flanneld_process.ts";
import { readWatchdogTimeout, SystemdNotifier } from "../../host/systemd.ts";
import { systemClock } from "../../linux/clock.ts";
import { systemRandom } from "../../linux/random.ts";
import { VERSION } from "../../version.ts";
import { composeAgent, FEATURES } from "./agent_parts.ts";
import { listenerRoutes, socketRoutes } from "./routes.ts";
import { buildCommit } from "../build_commit.ts";
import type { CommandContext, CommandEntry, CommandIo } from "../command.ts";
import { closeDebugger } from "../../agent/process/debugger_guard.ts";
import { releaseStartMemory } from "../../agent/process/start_memory.ts";
import { exitCodeOf } from "../failure.ts";

const log = getLogger(["loden", "agent"]);

/**
 * Runs the agent until a signal or an error that waiting cannot cure ends it.
 */
export async function run(io: CommandContext): Promise<number> {
  const line = parseGoFlags(AGENT_FLAGS, io.argv, {
    words: "refuse",
    hintFor: (word) => hintForCommand(word, io.table),
  });
  const request = requestOf(line);
  switch (request) {
    case "help":
      io.stdout(agentHelp(io.table, io.terminal()?.columns));
      return exitCodes.ok;
    case "version":
      // On stderr, and the bare version first, as in flanneld (compat 1.1).
      io.stderr(
        `${VERSION}\ncommit ${await buildCommit()}, Deno ${Deno.version.deno}\n`,
      );
      return exitCodes.ok;
    case "dry-run":
    case "run":
      break;
  }
  const settings = await resolveSettings({
    argv: line,
    env: io.env,
    readFile: (path) => Deno.readTextFile(path),
    features: FEATURES,
  });
  if (request === "dry-run") {
    const { dryRun } = await import("./dry_run.ts");
    return await dryRun(io, settings);
  }
  let revision: Promise<string> | undefined;
  const metrics = new AgentMetrics(systemClock, {
    version: VERSION,
    deno: Deno.version.deno,
    arch: Deno.build.arch,
    renewMarginSeconds: settings.subnetLeaseRenewMarginMinutes * 60,
    perPeer: settings.metricsPeers,
    revision: () => revision ??= buildCommit(),
  });
  const logObservers = new LogObservers(metrics.events.count);
  configureLogging({
    format: settings.logFormat,
    verbosity: settings.verbosity,
    observe: logObservers.tell,
  });
  try {
    await runAgent(io, settings, metrics, logObservers.add);
    return exitCodes.ok;
  } catch (error) {
    log.fatal("agent cannot continue", { event: "agent.failed", error });
    return exitCodeOf(error);
  }
}

/** A flag before the command makes it the agent's command line. */
function hintForCommand(
  word: string,
  table: readonly CommandEntry[],
): string | undefined {
  const isCommand = table.some(({ name }) => name.split(" ")[0] === word);
  return isCommand ? `put the command first: loden ${word} ...` : undefined;
}

function agentHelp(
  table: readonly CommandEntry[],
  columns: number | undefined,
): string {
  return renderHelp(AGENT_FLAGS, {
    columns,
    usage: ["loden [FLAG]...", "loden COMMAND [FLAG]..."],
    commands: table,
    environment: true,
  });
}

async function runAgent(
  io: CommandIo,
  settings: Settings,
  metrics: AgentMetrics,
  observeLog: LogObservers["add"],
): Promise<void> {
  const paths = instancePaths(settings.runDir, settings.etcdPrefix);
  using _lock = InstanceLock.acquire(paths, settings.etcdPrefix);
  using _namespace = claimNamespace(paths, settings.etcdPrefix);
  await refuseFilesOfOthers(paths, [
    settings.subnetFile,
    ...(settings.dockerOptsFile === undefined ? [] : [settings.dockerOptsFile]),
  ]);
  refuseFlanneld(settings);
  const state = new AgentState({
    version: VERSION,
    pid: Deno.pid,
    instance: paths.name,
    etcdPrefix: settings.etcdPrefix,
    etcdEndpoints: settings.etcdEndpoints,
  }, systemClock);
  metrics.follow(state);
  const url = routesUrl(settings);
  state.set({ web: url === undefined ? null : `${url}/` });
  const ending = new AbortController();
  let agent: Agent | undefined;
  const detach = listen(io, ending, state, () => agent?.logCounters());
  try {
    logStart(settings);
    using parts = await composeAgent(
      settings,
      io.env,
      paths,
      state,
      metrics,
    );
    agent = parts.agent;
    const monitor = new Monitor({ state, clock: systemClock, observeLog });
    const probes = probeRoutes(() => parts.agent.probes);
    const status = StatusServer.start(
      paths,
      socketRoutes(state, metrics, probes),
      new Map([["/monitor", monitorRoute(monitor, paths.socket)]]),
    );
    onceReady(state, () => releaseStartMemory(systemClock, ending.signal));
    try {
      await Promise.all([
        agent.run(ending.signal).finally(() => ending.abort()),
        serveHealthUntil(settings, state, metrics, ending.signal),
        feedWatchdogUntil(io.env, state, ending.signal),
      ]);
    } finally {
      monitor.stop();
      await status.stop();
    }
  } finally {
    detach();
  }
}

/**
 * Two agents that write one file or lease for one host undo each other's work.
 */
function refuseFlanneld(settings: Settings): void {
  const flanneld = findFlanneld(settings);
  if (flanneld === undefined) return;
  throw new FlanneldRunningError(flanneld.pid, flanneld.shared);
}

function onceReady(state: AgentState, action: () => void): void {
  const end = state.onChange(() => {
    if (!state.facts.ready) return;
    end();
    action();
  });
}

function logStart(settings: Settings): void {
  log.info("starting", {
    event: "agent.starting",
    version: VERSION,
    pid: Deno.pid,
    etcdEndpoints: settings.etcdEndpoints,
    etcdPrefix: settings.etcdPrefix,
  });
  for (const { code, text } of settings.warnings) {
    log.warn("setting may not do what you expect", {
      event: "settings.warning",
      code,
      reason: text,
    });
  }
  const { onSubnetChange: action } = settings;
  const confined = action.kind === "run"
    ? whyConfined(action.command)
    : undefined;
  if (confined !== undefined) {
    log.warn("setting may not do what you expect", {
      event: "settings.warning",
      code: "settings.command-confined",
      reason: `--on-subnet-change: ${confined}`,
    });
  }
}

async function serveHealthUntil(
  settings: Settings,
  state: AgentState,
  metrics: AgentMetrics,
  signal: AbortSignal,
): Promise<void> {
  const components = {
    clock: systemClock,
    random: systemRandom,
    state,
    routes: listenerRoutes(state, metrics),
    hostname: () => Deno.hostname(),
  };
  try {
    await Promise.all(
      planListeners(settings).map((plan) =>
        serveHealth(plan, components, signal)
      ),
    );
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

async function feedWatchdogUntil(
  env: CommandIo["env"],
  state: AgentState,
  signal: AbortSignal,
): Promise<void> {
  const timeoutMs = readWatchdogTimeout(env, Deno.pid);
  if (timeoutMs === undefined) return;
  const notifier = new SystemdNotifier(env.NOTIFY_SOCKET);
  await feedWatchdog(
    timeoutMs,
    { state, notifier, clock: systemClock },
    signal,
  );
}

/**
 * The first SIGTERM or SIGINT stops everything in order, the second ends the
 * process at once. SIGHUP is ignored: closing a terminal, or a reload, which
 * Loden does not have, must not take the network down (flanneld exits).
 */
function listen(
  io: CommandIo,
  ending: AbortController,
  state: AgentState,
  logCounters: () => void,
): () => void {
  const onEnd = (name: "SIGTERM" | "SIGINT") => () => {
    if (ending.signal.aborted) io.exitNow(signalExitCode(name));
    log.info("signal received", { event: "agent.signal", signal: name });
    ending.abort(new DOMException(name, "AbortError"));
  };
  const ends = [
    io.onSignal("SIGTERM", onEnd("SIGTERM")),
    io.onSignal("SIGINT", onEnd("SIGINT")),
    io.onSignal("SIGUSR1", () => {
      logCounters();
      // A failure in it is reported like any uncaught error.
      closeDebugger();
    }),
    io.onSignal(
      "SIGHUP",
      () =>
        log.info("signal ignored", { event: "agent.signal", signal: "SIGHUP" }),
    ),
  ];
  io.onUncaught((error) => onUncaught(error, state));
  return () => {
    for (const end of ends) end();
    io.onUncaught(undefined);
  };
}

/** A running network is worth more than the part that has just failed. */
function onUncaught(error: unknown, state: AgentState): boolean {
  log.error("uncaught error: this is a bug in Loden", {
    event: "internal.uncaught",
    error,
    stack: error instanceof Error ? error.stack : undefined,
  });
  if (!state.facts.ready) return false;
  const reason = error instanceof Error ? error.message : String(error);
  state.raise(
    "agent.task-died",
    `uncaught error: ${reason}: systemctl restart loden`,
  );
  return true;
}
