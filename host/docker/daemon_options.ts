/**
 * Options that dockerd needs so that overlay packets reach its containers.
 *
 * @module
 */

import { DOCKER_MARK } from "../firewall/docker_mark_plan.ts";
import type { DaemonConfig } from "./daemon_config.ts";

/** `MARK/MASK`, as `--bridge-accept-fwmark` takes it. */
const BRIDGE_ACCEPT_MARK = [DOCKER_MARK, DOCKER_MARK]
  .map((number) => `0x${number.toString(16).padStart(8, "0")}`).join("/");

/** The daemon's option, its key in daemon.json, and the variable that holds it. */
const OPTIONS = [
  {
    key: "allow-direct-routing",
    variable: "DOCKER_OPT_ALLOW_DIRECT_ROUTING",
    option: "--allow-direct-routing",
  },
  {
    key: "bridge-accept-fwmark",
    variable: "DOCKER_OPT_BRIDGE_ACCEPT_FWMARK",
    option: `--bridge-accept-fwmark=${BRIDGE_ACCEPT_MARK}`,
  },
] as const;

/** Both as you would write them. */
export const OVERLAY_OPTIONS = OPTIONS.map(({ option }) => option).join(" ");

/**
 * The variables to add to Docker's environment file.
 *
 * None for a Docker that uses iptables: an accept in its own tables
 * (`host/firewall/docker_pass_plan.ts`) lets in less than
 * `--allow-direct-routing` would, needs no restart of Docker, and works with
 * 28.0 and 28.1, which lack the option. With nftables (Docker 29 and later) no
 * rule of ours can do it. A Docker before 29 does not start with the key that
 * selects nftables or with an unknown option, so daemon.json is enough to
 * decide.
 */
export function overlayOptions(
  config: DaemonConfig,
): Readonly<Record<string, string>> {
  if (!config.usesNftables) return {};
  return Object.fromEntries(
    OPTIONS.filter(({ key }) => !config.keys.has(key))
      .map(({ variable, option }) => [variable, option]),
  );
}
