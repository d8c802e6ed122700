/**
 * `loden status`.
 *
 * @module
 */

import { AgentNotRunningError } from "../agent/errors.ts";
import { exitCodes } from "../agent/exit_codes.ts";
import { instancePaths } from "../agent/instance/instance.ts";
import type { StatusSnapshot } from "../agent/status/state.ts";
import { fetchStatus } from "../agent/status/status_client.ts";
import { describeEngine, isEngineRunning } from "../host/docker/engine.ts";
import type { CommandContext } from "./command.ts";
import {
  isSet,
  readCommandLine,
  readSettings,
  refuseWords,
} from "./command_line.ts";
import { renderStatus } from "./status_text.ts";

const ANSWER_TIMEOUT_MS = 2_000;

/** Prints the agent's state; the exit code says whether it is ready. */
export async function run(io: CommandContext): Promise<number> {
  const line = readCommandLine(io);
  if (line === undefined) return exitCodes.ok;
  refuseWords(io, line);
  const settings = await readSettings(io, line);
  const { socket } = instancePaths(settings.runDir, settings.etcdPrefix);
  const timeout = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  const said = await fetchStatus(socket, timeout).catch((error) => {
    throw timeout.aborted ? new AgentNotRunningError(socket, error) : error;
  });
  const status = await withEngine(said);
  io.stdout(
    isSet(line, "json") ? JSON.stringify(status) + "\n" : renderStatus(status),
  );
  return status.ready ? exitCodes.ok : exitCodes.notReady;
}

/** The agent knows whether Docker runs, and may not ask it. */
async function withEngine(status: StatusSnapshot): Promise<StatusSnapshot> {
  if (status.docker === null || !await isEngineRunning()) return status;
  return { ...status, docker: { ...status.docker, ...await describeEngine() } };
}
