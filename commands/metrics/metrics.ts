/**
 * `loden metrics`.
 *
 * @module
 */

import { exitCodes } from "../../agent/exit_codes.ts";
import { instancePaths } from "../../agent/instance/instance.ts";
import { fetchMetrics } from "../../agent/status/status_client.ts";
import { writeFileAtomically } from "../../linux/atomic_file.ts";
import { type Clock, systemClock } from "../../linux/clock.ts";
import { askAgent } from "../ask_agent.ts";
import type { CommandContext } from "../command.ts";
import { readFlags, readSettings } from "../command_line.ts";

/** Prints the agent's metrics, or writes them to a file for a collector. */
export async function run(
  io: CommandContext,
  clock: Pick<Clock, "now"> = systemClock,
): Promise<number> {
  const line = readFlags(io);
  if (line === undefined) return exitCodes.ok;
  const { etcdPrefix, runDir } = await readSettings(io, line);
  const paths = instancePaths(runDir, etcdPrefix);
  const text = await askAgent(paths, fetchMetrics);
  const output = String(line.given.get("output")?.value ?? "");
  if (output === "") {
    io.stdout(text);
    return exitCodes.ok;
  }
  await writeFileAtomically(output, text, { mode: 0o644 });
  // A file whose text is the same is not written, but a collector tells by its time
  // whether it is still written at all.
  const now = new Date(clock.now());
  await Deno.utime(output, now, now);
  return exitCodes.ok;
}
