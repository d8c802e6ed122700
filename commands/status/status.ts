/**
 * `loden status`.
 *
 * @module
 */

import { exitCodes } from "../../agent/exit_codes.ts";
import {
  type InstancePaths,
  instancePaths,
} from "../../agent/instance/instance.ts";
import type { StatusSnapshot } from "../../agent/status/status_snapshot.ts";
import { fetchStatus } from "../../agent/status/status_client.ts";
import { UsageError } from "../../config/errors.ts";
import type { CommandLine } from "../../config/go_flags.ts";
import { LodenError } from "../../errors.ts";
import { describeEngine, isEngineRunning } from "../../host/docker/engine.ts";
import { type Clock, systemClock } from "../../linux/clock.ts";
import { askAgent } from "../ask_agent.ts";
import type { CommandContext } from "../command.ts";
import { isSet, readFlags, readSettings } from "../command_line.ts";
import { printError } from "../failure.ts";
import { check, type CheckName, type Sight } from "./status_check.ts";
import { renderFailure, renderStatus } from "./status_text.ts";
import { readDurationMs, waitForStatus } from "./status_wait.ts";
import { watchStatus } from "./status_watch.ts";
import { pageAddress } from "./status_web.ts";

/** Prints the agent's state; the exit code says whether it is ready. */
export async function run(
  io: CommandContext,
  clock: Clock = systemClock,
): Promise<number> {
  const line = readFlags(io);
  if (line === undefined) return exitCodes.ok;
  refuseTogether(line, "watch", ["wait", "check"]);
  refuseTogether(line, "check", ["json"]);
  refuseTogether(line, "web", ["json", "watch", "check"]);
  const wait = line.given.get("wait")?.value;
  const limitMs = wait === undefined ? 0 : readDurationMs(String(wait));
  const checkName = line.given.get("check")?.value as CheckName | undefined;
  const settings = await readSettings(io, line);
  const paths = instancePaths(settings.runDir, settings.etcdPrefix);
  const look = () => lookAt(paths);
  if (isSet(line, "watch")) {
    await watchStatus(io, clock, async () => {
      const sight = await withEngine(await look());
      return describeSight(io, sight, line, clock);
    });
    return exitCodes.ok;
  }
  const sight = await waitForStatus(io, clock, look, { limitMs, checkName });
  if (checkName !== undefined) {
    const { code, line } = check(checkName, sight);
    io.stdout(`${line}\n`);
    return code;
  }
  if ("failure" in sight) throw sight.failure;
  if (isSet(line, "web")) {
    io.stdout(`${pageAddress(sight.status)}\n`);
    return exitCodes.ok;
  }
  const { status } = await withEngine(sight) as { status: StatusSnapshot };
  io.stdout(
    isSet(line, "json")
      ? `${JSON.stringify(status)}\n`
      : renderStatus(status, { nowMs: clock.now(), terminal: io.terminal() }),
  );
  return status.ready ? exitCodes.ok : exitCodes.notReady;
}

/** One of many, for `--watch`; a failure is part of them and ends nothing. */
function describeSight(
  io: CommandContext,
  sight: Sight,
  line: CommandLine,
  clock: Clock,
): string {
  if (isSet(line, "json")) {
    if ("status" in sight) return `${JSON.stringify(sight.status)}\n`;
    printError(io, sight.failure);
    return "";
  }
  const terminal = io.terminal();
  const text = "status" in sight
    ? renderStatus(sight.status, {
      nowMs: clock.now(),
      terminal,
      fitHeight: true,
    })
    : renderFailure(sight.failure, terminal);
  return terminal === undefined ? `${text}\n` : text;
}

function refuseTogether(
  { given }: CommandLine,
  name: string,
  others: readonly string[],
): void {
  const other = others.find((each) => given.has(each));
  if (!given.has(name) || other === undefined) return;
  throw new UsageError(
    "usage.flags",
    `Cannot run status: --${name} must be given without --${other}: both are given`,
  );
}

/** Faults of the command itself are thrown. */
async function lookAt(paths: InstancePaths): Promise<Sight> {
  try {
    return { status: await askAgent(paths, fetchStatus) };
  } catch (error) {
    if (error instanceof LodenError) return { failure: error };
    throw error;
  }
}

/** The agent knows whether Docker runs, and may not ask it. */
async function withEngine(sight: Sight): Promise<Sight> {
  if ("failure" in sight) return sight;
  const { status } = sight;
  if (status.docker === null || !await isEngineRunning()) return sight;
  const docker = { ...status.docker, ...await describeEngine() };
  return { status: { ...status, docker } };
}
