/**
 * `loden monitor`.
 *
 * @module
 */

import { AgentNotRunningError } from "../../agent/errors.ts";
import { exitCodes } from "../../agent/exit_codes.ts";
import {
  type InstancePaths,
  instancePaths,
} from "../../agent/instance/instance.ts";
import { listenToAgent } from "../../agent/monitor/monitor_client.ts";
import {
  type MonitorEvent,
  parseMonitorEvent,
} from "../../agent/monitor/monitor_event.ts";
import { fetchStatus } from "../../agent/status/status_client.ts";
import type { CommandLine } from "../../config/go_flags.ts";
import { askAgent } from "../ask_agent.ts";
import type { CommandContext } from "../command.ts";
import { isSet, readFlags, readSettings } from "../command_line.ts";
import { Capture } from "./capture.ts";
import { EventFilter } from "./event_filter.ts";
import { renderEvent } from "./event_text.ts";

/** Prints events until Ctrl-C, or until the agent or the reader has gone. */
export async function run(io: CommandContext): Promise<number> {
  const line = readFlags(io);
  if (line === undefined) return exitCodes.ok;
  const filter = new EventFilter({
    peer: textOf(line, "peer"),
    reasons: textOf(line, "reason")?.split(",").map((word) => word.trim()),
  });
  const settings = await readSettings(io, line);
  const ending = new AbortController();
  const ends = (["SIGINT", "SIGTERM"] as const).map((name) =>
    io.onSignal(name, () => ending.abort())
  );
  using _signals = { [Symbol.dispose]: () => ends.forEach((end) => end()) };
  const paths = instancePaths(settings.runDir, settings.etcdPrefix);
  try {
    return await follow(io, line, filter, paths, ending.signal);
  } catch (error) {
    if (error === ending.signal.reason) return exitCodes.ok;
    throw error;
  }
}

async function follow(
  io: CommandContext,
  line: CommandLine,
  filter: EventFilter,
  paths: InstancePaths,
  signal: AbortSignal,
): Promise<number> {
  // First, so that events are not lost while the peers are listed.
  await using events = await askAgent(
    paths,
    (socket, limit) => listenToAgent(socket, signal, limit),
  );
  if (filter.wantsPeers) {
    const { peers } = await askAgent(paths, fetchStatus);
    for (const peer of peers) filter.know(peer);
  }
  const pcap = textOf(line, "pcap");
  using capture = pcap === undefined ? undefined : new Capture(pcap);
  const show = isSet(line, "json")
    ? (_event: MonitorEvent, text: string) => io.stdout(`${text}\n`)
    : (event: MonitorEvent) => io.stdout(renderEvent(event, io.terminal()));
  for await (const text of events.lines) {
    const event = parseMonitorEvent(text);
    // Later agents may have more kinds.
    if (event === undefined) continue;
    if (event.type === "source") filter.checkReasons(event.reasons);
    if (!filter.shows(event, text)) continue;
    capture?.take(event);
    if (!show(event, text)) return exitCodes.ok;
  }
  if (signal.aborted) return exitCodes.ok;
  throw new AgentNotRunningError(paths.socket);
}

function textOf({ given }: CommandLine, name: string): string | undefined {
  const value = given.get(name)?.value;
  return value === undefined || value === "" ? undefined : String(value);
}
