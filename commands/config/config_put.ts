/**
 * `loden config put`: the replacement for `etcdctl set <prefix>/config …` in an
 * ExecStartPre line.
 *
 * @module
 */

import { isDeepStrictEqual } from "node:util";
import { BACKENDS } from "../../backend/backends.ts";
import { exitCodes } from "../../agent/exit_codes.ts";
import {
  NetworkConfigError,
  SettingsError,
  UsageError,
} from "../../config/errors.ts";
import {
  type NetworkConfig,
  parseNetworkConfig,
} from "../../config/network/network.ts";
import { shownConfig } from "../../config/network/shown_config.ts";
import { NetworkOverlapError } from "../../host/errors.ts";
import {
  findOverlaps,
  type NetworkOverlap,
  readHostNetworks,
} from "../../host/network_fit.ts";
import type { LeaseRegistry, StoredConfig } from "../../lease/registry.ts";
import { isPeerRoute, type Leftover } from "../../backend/leftovers.ts";
import type { Settings } from "../../config/settings.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import type { Cidr } from "../../net/cidr.ts";
import { jsonIn } from "../../net/schemas.ts";
import { hostLeftovers } from "../agent/host_leftovers.ts";
import { chooseSettings, type SettingsHost } from "../agent_settings.ts";
import type { CommandContext } from "../command.ts";
import { isSet, readCommandLine, readSettings } from "../command_line.ts";
import { settingsHost } from "../doctor/host.ts";
import { etcdAccess, type RegistryAccess, withRegistry } from "../etcd.ts";
import { withoutControls } from "../terminal/controls.ts";
import { describeBackendChange } from "./backend_change.ts";

/** Checks the config and publishes it, unless etcd has it already. */
export async function run(
  io: CommandContext,
  access: RegistryAccess = etcdAccess,
  overlapsOf: (config: NetworkConfig) => NetworkOverlap[] = overlapsOnThisHost,
  leftoversOf: (config: NetworkConfig, settings: Settings) => Leftover[] =
    leftoversOnThisHost,
  host: SettingsHost = settingsHost,
): Promise<number> {
  const line = readCommandLine(io);
  if (line === undefined) return exitCodes.ok;
  const text = onlyWord(line.words);
  const own = await readSettings(io, line);
  const { settings } = await chooseSettings(own, host);
  let check: Check = () => {};
  if (!isSet(line, "force")) {
    const config = readArgument(text);
    const { ignoredKeys } = config;
    for (const { key, near } of ignoredKeys) {
      const guess = near === undefined ? "" : `: did you mean ${near}?`;
      io.stderr(`loden: ${key} is an unknown key and has no effect${guess}\n`);
    }
    check = (before, say) => {
      refuseOverlaps(config.pool.network, overlapsOf(config));
      describeBackendChange(before?.text, config).forEach(say);
      for (const { fix, what } of leftoversOf(config, settings)) {
        say(
          `flannel has left a ${what} on this host: ${fix}, or start the agent ` +
            "with --take-over-devices",
        );
      }
    };
  }
  const key = `${settings.etcdPrefix}/config`;
  const before = await withRegistry(
    io,
    settings,
    access,
    (registry, signal, note) =>
      publish(
        registry,
        { text, check: (before) => check(before, note) },
        signal,
      ),
  );
  io.stdout(
    before === undefined
      ? `created ${key}\n`
      : isSameJson(before.text, text)
      ? `${key} already has this value: nothing is written\n`
      : `${key} is replaced; it was ${
        withoutControls(shownConfig(before.text, BACKENDS))
      }\n`,
  );
  return exitCodes.ok;
}

/** Throws, or says what a change costs. */
type Check = (
  before: StoredConfig | undefined,
  say: (text: string) => void,
) => void;

/**
 * @param config.check throws when this host has no room for the network; called
 * only before a write, because a unit publishes at every boot.
 * @returns the former value.
 */
async function publish(
  registry: LeaseRegistry,
  { text, check }: {
    readonly text: string;
    readonly check: (before: StoredConfig | undefined) => void;
  },
  signal: AbortSignal,
): Promise<StoredConfig | undefined> {
  for (;;) {
    const before = await registry.readConfig(signal);
    if (before !== undefined && isSameJson(before.text, text)) return before;
    check(before);
    // Another host may do the same at this moment: read what it wrote.
    if (await registry.writeConfig(text, before, signal)) return before;
  }
}

/**
 * A wider route through a gateway counts here, because no network runs yet that
 * a refusal would interrupt.
 */
function refuseOverlaps(
  network: Cidr,
  overlaps: readonly NetworkOverlap[],
): void {
  if (overlaps.length === 0) return;
  throw new NetworkOverlapError(network, overlaps, { flag: "--force" });
}

/** Routes to other hosts by a backend belong to the network. */
function overlapsOnThisHost(
  { pool: { network, subnetLength } }: NetworkConfig,
): NetworkOverlap[] {
  using rtnetlink = new KernelRtnetlink();
  const host = readHostNetworks(rtnetlink);
  const routes = host.routes.filter((route) =>
    !isPeerRoute(route, network, subnetLength)
  );
  return findOverlaps(network, { ...host, routes });
}

/** Loden's own go with the change. */
function leftoversOnThisHost(
  config: NetworkConfig,
  settings: Settings,
): Leftover[] {
  using rtnetlink = new KernelRtnetlink();
  return hostLeftovers(settings, config.pool, [config.backend], rtnetlink)
    .filter(({ owner }) => owner === "flannel");
}

function onlyWord(words: readonly string[]): string {
  const [text, ...rest] = words;
  if (text !== undefined && rest.length === 0) return text;
  throw new UsageError(
    "usage.config-put",
    `Cannot publish a network config: it must be one word of JSON: current ` +
      `number of words is ${words.length}`,
    { hint: `for example loden config put '{ "Network": "10.1.0.0/16" }'` },
  );
}

/** @throws {SettingsError} because waiting cannot correct the command line. */
function readArgument(text: string): NetworkConfig {
  try {
    return parseNetworkConfig(text, BACKENDS, "the command line");
  } catch (error) {
    if (!(error instanceof NetworkConfigError)) throw error;
    const { code, hint, message } = error;
    throw new SettingsError(code, message, {
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

/** Spaces and the order of keys do not matter. */
function isSameJson(a: string, b: string): boolean {
  const value = jsonIn(a);
  return a === b ||
    value !== undefined && isDeepStrictEqual(value, jsonIn(b));
}
