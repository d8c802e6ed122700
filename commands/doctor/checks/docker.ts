/**
 * Docker's daemon, its settings and its bridge.
 *
 * @module
 */

import {
  ownDevices,
  readDevices,
} from "../../../agent/instance/own_devices.ts";
import {
  type BridgeFit,
  checkBridges,
} from "../../../host/docker/bridge_fit.ts";
import {
  DAEMON_CONFIG_PATH,
  type DaemonConfig,
  parseDaemonConfig,
} from "../../../host/docker/daemon_config.ts";
import { findDrops } from "../../../host/docker/docker_drops.ts";
import {
  type EngineOptions,
  engineOptions,
} from "../../../host/docker/engine_options.ts";
import {
  checkStaleOptions,
  USUAL_OPTIONS_FILE,
} from "../../../host/docker/stale_options.ts";
import { FirewallError } from "../../../host/firewall/errors.ts";
import { type Cidr, formatCidr } from "../../../net/cidr.ts";
import { formatIpv4, toIpv4 } from "../../../net/ipv4.ts";
import type { Check, DoctorHost, KnownNetwork } from "../check.ts";
import { type Finding, findingOn } from "../finding.ts";
import { mayUseNfTables } from "./firewall.ts";

/** See the module. */
export const dockerCheck: Check = {
  name: "Docker",
  run: async (host, signal) => {
    const engine = await host.engine();
    if (engine === undefined) {
      return [
        findingOn("docker.engine", "docker").note(
          "no daemon runs in this network namespace",
        ),
      ];
    }
    const text = host.readText(DAEMON_CONFIG_PATH) ?? "";
    const options = engineOptions(engine.words, text);
    const isSeen = engine.words.some((word) => word !== "");
    const [version, known] = await Promise.all([
      host.isRoot ? versionOf(engine) : undefined,
      host.network(signal),
    ]);
    return [
      engineFinding(host, version),
      ...settings(options),
      ...await overlay(host, { isSeen, known, options, text }, signal),
    ];
  },
};

async function versionOf(
  { describe }: NonNullable<Awaited<ReturnType<DoctorHost["engine"]>>>,
): Promise<string> {
  const { firewall, version } = await describe();
  if (version === null) return "";
  return firewall === null ? version : `${version}, rules by ${firewall}`;
}

function engineFinding(
  { isRoot }: DoctorHost,
  version: string | undefined,
): Finding {
  const fact = findingOn("docker.engine", "docker");
  if (version === "") {
    return fact.warning(
      "dockerd runs and does not answer on /run/docker.sock",
      "journalctl -u docker -e",
    );
  }
  return fact.ok(
    version ??
      `dockerd runs${isRoot ? "" : "; only root may ask its version"}`,
  );
}

/** Settings that matter, whatever the lease is. */
function settings(options: EngineOptions): Finding[] {
  const isOn = (name: string, byDefault: boolean) =>
    (options.get(name) ?? String(byDefault)) === "true";
  const iptables = findingOn("docker.iptables", "docker iptables");
  const liveRestore = findingOn("docker.live-restore", "docker live-restore");
  const proxy = findingOn("docker.userland-proxy", "docker proxy");
  return [
    isOn("iptables", true)
      ? iptables.ok("Docker sets its rules; it sets ip_forward when it starts")
      : iptables.note(
        "off (--iptables=false): published ports, and masquerade " +
          "without --ip-masq, need rules of your own",
      ),
    isOn("live-restore", false)
      ? liveRestore.note(
        "on: while containers run, docker0 keeps its old subnet over a " +
          "restart of Docker; when the subnet changes, stop them first",
        "docker stop $(docker ps -q) && systemctl restart docker",
      )
      : liveRestore.ok("off: a restart of Docker restarts the containers"),
    isOn("userland-proxy", true)
      ? proxy.ok("on: docker-proxy serves published ports for this host itself")
      : proxy.ok("off: rules alone serve published ports"),
  ];
}

const optionsFact = findingOn("docker.options", "docker options");

/** What is known about Docker and the network. */
interface Context {
  readonly known: KnownNetwork;
  readonly options: EngineOptions;
  /** Of daemon.json. */
  readonly text: string;
  /** Whether the daemon's command line can be read: not with `hidepid`. */
  readonly isSeen: boolean;
}

/** Whether the containers are on the lease. */
async function overlay(
  host: DoctorHost,
  { isSeen, known, options, text }: Context,
  signal: AbortSignal,
): Promise<Finding[]> {
  const { network, subnetEnv: { ipMasq, mtuBytes, subnet } } = known;
  if (network === undefined || subnet === undefined) {
    return [
      optionsFact.note(
        `not compared: ${host.settings.subnetFile} does not say a subnet ` +
          "yet",
      ),
    ];
  }
  if (!isSeen) {
    return [
      optionsFact.note(
        "not compared: the command line of dockerd cannot be read",
      ),
    ];
  }
  const config = parseDaemonConfig(text);
  const fit = checkBridges(
    { network, subnet, config },
    host.rtnetlink.links(),
    host.rtnetlink.addresses(),
  );
  const wanted = wantedOptions(subnet, mtuBytes, ipMasq);
  const compared = compareOptions(wanted, options, fit);
  const place = bridge(fit, subnet);
  return [
    ...compared,
    ...givenTwice(config),
    // Said already, with the same fix.
    ...compared.some(({ fix }) => fix !== undefined && fix === place.fix)
      ? []
      : [place],
    ...staleOptions(host, network, subnet),
    ...fit.onLease === undefined
      ? []
      : await drops(host, { network, subnet, config }, signal),
  ];
}

/** As the agent's file says them. */
function wantedOptions(
  subnet: Cidr,
  mtuBytes: number | undefined,
  ipMasq: boolean | undefined,
): ReadonlyMap<string, string> {
  const gateway = formatIpv4(toIpv4(subnet.address + 1));
  return new Map([
    ["bip", `${gateway}/${subnet.prefixLength}`],
    ...mtuBytes === undefined ? [] : [["mtu", String(mtuBytes)] as const],
    ...ipMasq === undefined ? [] : [["ip-masq", String(!ipMasq)] as const],
  ]);
}

/** dockerd's own values. */
const DEFAULTS: ReadonlyMap<string, string> = new Map([["ip-masq", "true"]]);

function compareOptions(
  wanted: ReadonlyMap<string, string>,
  options: EngineOptions,
  { onLease, problem }: BridgeFit,
): Finding[] {
  const wrong = [...wanted].filter(([name, value]) =>
    (options.get(name) ?? DEFAULTS.get(name)) !== value
  );
  const text = wrong.map(([name, value]) => `--${name}=${value}`).join(" ");
  if (wrong.length === 0) {
    return [
      optionsFact.ok(
        `dockerd runs with ${
          [...wanted].map(([name, value]) => `--${name}=${value}`).join(" ")
        }`,
      ),
    ];
  }
  const value = `dockerd runs without ${text}`;
  const fix = problem?.fix ?? "systemctl restart docker";
  if (wrong.every(([name]) => name !== "bip")) {
    return [optionsFact.warning(value, fix)];
  }
  // Another Docker network may be on the lease.
  return onLease === undefined ? [optionsFact.problem(value, fix)] : [
    optionsFact.note(`${value}; ${onLease} is on the lease nevertheless`),
  ];
}

/** The agent's file has them as well. */
function givenTwice({ keys }: DaemonConfig): Finding[] {
  const twice = ["bip", "mtu", "ip-masq"].filter((key) => keys.has(key))
    .map((key) => `"${key}"`);
  return twice.length === 0 ? [] : [
    optionsFact.note(
      `${DAEMON_CONFIG_PATH} sets ${twice.join(" and ")}: with the ` +
        "agent's options, Docker does not start, because it has them twice",
      `remove ${twice.join(" and ")} from ${DAEMON_CONFIG_PATH}`,
    ),
  ];
}

function bridge({ onLease, problem }: BridgeFit, subnet: Cidr): Finding {
  const fact = findingOn("docker.bridge", "docker bridge");
  if (problem !== undefined) {
    return fact.problem(problem.text, problem.fix);
  }
  return onLease === undefined
    ? fact.warning(
      `no bridge is on this host's lease ${formatCidr(subnet)}`,
      "systemctl restart docker, or loden docker-network --run",
    )
    : fact.ok(`${onLease} is on the lease`);
}

function staleOptions(
  { readText, settings }: DoctorHost,
  network: Cidr,
  subnet: Cidr,
): Finding[] {
  const { dockerOptsFile, subnetFile } = settings;
  if (dockerOptsFile === USUAL_OPTIONS_FILE) return [];
  const text = readText(USUAL_OPTIONS_FILE);
  const problem = text === undefined
    ? undefined
    : checkStaleOptions(text, { network, subnet, subnetFile });
  return problem === undefined
    ? []
    : [optionsFact.warning(problem.text, problem.fix)];
}

/** Only with a device of the overlay there are packets that Docker could drop. */
async function drops(
  host: DoctorHost,
  context: Pick<
    Parameters<typeof findDrops>[1],
    "config" | "network" | "subnet"
  >,
  signal: AbortSignal,
): Promise<Finding[]> {
  const { isRoot, rtnetlink, runner, settings } = host;
  const [device] = ownDevices(
    settings.etcdPrefix,
    readDevices(rtnetlink),
    context.subnet.address,
  );
  if (!isRoot || device === undefined || !mayUseNfTables(host)) return [];
  const fact = findingOn("docker.drops", "docker drops");
  try {
    const problem = await findDrops(runner, {
      ...context,
      overlayDevice: device.name,
      directDevices: [],
      forward: settings.iptablesForwardRules,
      masquerade: settings.ipMasq,
    }, signal);
    return [
      problem === undefined
        ? fact.ok("Docker's rules let packets of other hosts pass")
        : fact.problem(problem.text, problem.fix),
    ];
  } catch (error) {
    if (!(error instanceof FirewallError)) throw error;
    return [fact.note(`not known: ${error.message}`)];
  }
}
