/**
 * `loden config show`.
 *
 * @module
 */

import { exitCodes } from "../../agent/exit_codes.ts";
import { UDP_FEATURES } from "../../backend/udp/features.ts";
import { chooseSettings, type SettingsHost } from "../agent_settings.ts";
import type { CommandContext } from "../command.ts";
import { isSet, readFlags, readSettings } from "../command_line.ts";
import { settingsHost } from "../doctor/host.ts";
import { renderSettings, reportSettings } from "./settings_text.ts";

/**
 * Prints every setting, and where its value comes from: of the agent, unless the
 * command is given settings of its own.
 */
export async function run(
  io: CommandContext,
  host: SettingsHost = settingsHost,
): Promise<number> {
  const line = readFlags(io);
  if (line === undefined) return exitCodes.ok;
  const own = await readSettings(io, line, Object.keys(UDP_FEATURES));
  const { settings, source } = await chooseSettings(own, host);
  io.stdout(
    isSet(line, "json")
      ? JSON.stringify(reportSettings(settings, source)) + "\n"
      : renderSettings(settings, source),
  );
  return exitCodes.ok;
}
