/**
 * `loden config get`.
 *
 * @module
 */

import { BACKENDS } from "../../backend/backends.ts";
import { exitCodes } from "../../agent/exit_codes.ts";
import { ConfigMissingError } from "../../agent/changes/missing_config.ts";
import { parseNetworkConfig } from "../../config/network/network.ts";
import { chooseSettings, type SettingsHost } from "../agent_settings.ts";
import type { CommandContext } from "../command.ts";
import { readFlags, readSettings } from "../command_line.ts";
import { settingsHost } from "../doctor/host.ts";
import { etcdAccess, type RegistryAccess, withRegistry } from "../etcd.ts";

/**
 * Prints the network config as it is in etcd, even an invalid one; the problem
 * is then the command's error.
 */
export async function run(
  io: CommandContext,
  access: RegistryAccess = etcdAccess,
  host: SettingsHost = settingsHost,
): Promise<number> {
  const line = readFlags(io);
  if (line === undefined) return exitCodes.ok;
  const own = await readSettings(io, line);
  const { settings } = await chooseSettings(own, host);
  const stored = await withRegistry(
    io,
    settings,
    access,
    (registry, signal) => registry.readConfig(signal),
  );
  if (stored === undefined) throw new ConfigMissingError(settings);
  io.stdout(`${stored.text}\n`);
  parseNetworkConfig(stored.text, BACKENDS, `${settings.etcdPrefix}/config`);
  return exitCodes.ok;
}
