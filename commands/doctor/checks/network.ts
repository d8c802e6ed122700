/**
 * The network config, and whether it fits this host.
 *
 * @module
 */

import { configCommands } from "../../../agent/changes/missing_config.ts";
import { backendsAtStart } from "../../../agent/network/backend_succession.ts";
import { backendOf, BACKENDS } from "../../../backend/backends.ts";
import { shownConfig } from "../../../config/network/shown_config.ts";
import type { NetworkConfig } from "../../../config/network/network.ts";
import { RegistryError } from "../../../lease/errors.ts";
import { formatCidr } from "../../../net/cidr.ts";
import { findAddressConflicts } from "../../agent/agent_parts.ts";
import { hostLeftovers } from "../../agent/host_leftovers.ts";
import type { Check, DoctorHost, KnownNetwork } from "../check.ts";
import { type Finding, findingOn } from "../finding.ts";

/** See the module. */
export const networkCheck: Check = {
  name: "network config",
  run: async (host, signal) => {
    const known = await host.network(signal);
    return [
      ...configFindings(host, known),
      ...known.config === undefined ? [] : [
        ...backendFindings(host, known.config),
        ...overlaps(host, known.config),
      ],
      ...leftovers(host, known),
    ];
  },
};

function configFindings(
  { settings }: DoctorHost,
  { config, failure, network }: KnownNetwork,
): Finding[] {
  const fact = findingOn("network.config", "network");
  if (config !== undefined) {
    const { backend, ignoredKeys, pool } = config;
    return [
      fact.ok(
        `${formatCidr(pool.network)}, a /${pool.subnetLength} for ` +
          `each host, backend ${backend.type}`,
      ),
      ...ignoredKeys.map(({ key, near }): Finding =>
        fact.warning(
          `the key ${key} has no effect` +
            (near === undefined ? "" : `; ${near} may have been meant`),
          configCommands(
            settings,
            shownConfig(withoutKey(config.raw, key, near), BACKENDS),
          )[1],
        )
      ),
    ];
  }
  if (failure instanceof RegistryError && failure.fault !== "bad-value") {
    const known = network === undefined
      ? ""
      : `; ${settings.subnetFile} says ${formatCidr(network)}`;
    return [fact.note(`not known, because etcd cannot be read${known}`)];
  }
  return [fact.problem(
    failure?.message ??
      `${settings.etcdPrefix}/config must be in etcd: there is no such key`,
    failure === undefined ? configCommands(settings)[1] : failure.hint,
  )];
}

/** The config with the key that was meant in its place, or without it. */
function withoutKey(
  raw: string,
  key: string,
  near: string | undefined,
): string {
  const path = key.split(".");
  const change = (value: unknown, depth: number): unknown =>
    typeof value !== "object" || value === null ? value : Object.fromEntries(
      Object.entries(value).flatMap(([name, part]) =>
        name !== path[depth]
          ? [[name, part]]
          : depth < path.length - 1
          ? [[name, change(part, depth + 1)]]
          : near === undefined
          ? []
          : [[near.split(".")[depth]!, part]]
      ),
    );
  return JSON.stringify(change(JSON.parse(raw), 0));
}

/** What the administrator does not allow, and what the kernel lacks. */
function backendFindings(
  { settings }: DoctorHost,
  { backend: { type } }: NetworkConfig,
): Finding[] {
  const descriptor = backendOf(type);
  const refusal = descriptor.refusal?.({
    allowsCommands: settings.allowExtensionCommands,
  });
  if (refusal === undefined) return [];
  return [
    findingOn("network.backend", "backend").problem(
      refusal.message,
      refusal.hint,
    ),
  ];
}

function overlaps(host: DoctorHost, config: NetworkConfig): Finding[] {
  const { isServed, overlaps } = findAddressConflicts(config, host.rtnetlink);
  const network = formatCidr(config.pool.network);
  const fact = findingOn("network.overlap", "addresses");
  if (overlaps.length === 0) {
    return [
      fact.ok(`no route and no address of this host lies in ${network}`),
    ];
  }
  return overlaps.map(({ fix, kind, text }) =>
    kind === "takeover"
      ? fact.note(`the overlay takes part of the route ${text}`)
      : fact[isServed ? "warning" : "problem"](
        `${network} overlaps ${text}`,
        fix ??
          `publish another Network: ${
            configCommands(host.settings, '{ "Network": "ANOTHER" }')[1]
          }`,
      )
  );
}

function leftovers(host: DoctorHost, known: KnownNetwork): Finding[] {
  const fact = findingOn("network.leftover", "leftovers");
  const { backends, config, network, subnetEnv: { subnet } } = known;
  const pool = config?.pool ??
    (network && subnet && { network, subnetLength: subnet.prefixLength });
  if (pool === undefined) {
    return [fact.note("not known, because the network is not")];
  }
  const present = config === undefined
    ? backends
    : backendsAtStart(config.backend, backends);
  const found = hostLeftovers(host.settings, pool, present, host.rtnetlink)
    // Without the config, Loden's own may be wanted.
    .filter(({ owner }) => config !== undefined || owner === "flannel");
  if (found.length === 0) {
    return [
      fact.ok(`none of other backends in ${formatCidr(pool.network)}`),
    ];
  }
  const { takeOverDevices } = host.settings;
  return found.map(({ fix, owner, what }) =>
    owner === "loden"
      ? fact.note(`${what} of an earlier backend: the agent removes it`)
      : takeOverDevices
      ? fact.note(
        `flannel's ${what}: the agent removes it (--take-over-devices)`,
      )
      : fact.problem(`flannel has left a ${what}, which takes packets`, fix)
  );
}
