/**
 * `loden config show`.
 *
 * @module
 */

import { exitCodes } from "../../agent/exit_codes.ts";
import { UDP_FEATURES } from "../../backend/udp/features.ts";
import { renderSettings, reportSettings } from "./settings_text.ts";
import type { CommandContext } from "../command.ts";
import {
  isSet,
  readCommandLine,
  readSettings,
  refuseWords,
} from "../command_line.ts";

/** Prints every setting, and where its value comes from. */
export async function run(io: CommandContext): Promise<number> {
  const line = readCommandLine(io);
  if (line === undefined) return exitCodes.ok;
  refuseWords(io, line);
  const settings = await readSettings(io, line, Object.keys(UDP_FEATURES));
  io.stdout(
    isSet(line, "json")
      ? JSON.stringify(reportSettings(settings)) + "\n"
      : renderSettings(settings),
  );
  return exitCodes.ok;
}
