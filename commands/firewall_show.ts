/**
 * `loden firewall show`.
 *
 * @module
 */

import { exitCodes } from "../agent/exit_codes.ts";
import { type Footprint, readFootprint } from "../agent/instance/footprint.ts";
import { ownDevices, readDevices } from "../agent/instance/own_devices.ts";
import { instancePaths } from "../agent/instance/instance.ts";
import type { FirewallRules } from "../host/firewall/firewall.ts";
import {
  reportFirewall,
  type RuleSetReport,
  type RuleSetState,
} from "../host/firewall/firewall_report.ts";
import { selectFirewall } from "../host/firewall/select_firewall.ts";
import { type CommandRunner, HostCommandRunner } from "../linux/command.ts";
import { KernelRtnetlink } from "../linux/netlink/kernel_rtnetlink.ts";
import { type Cidr, formatCidr } from "../net/cidr.ts";
import type { CommandContext } from "./command.ts";
import { isSet, readFlags, readSettings } from "./command_line.ts";

/** Prints the rules; the exit code says whether all are in place. */
export async function run(
  io: CommandContext,
  runner: CommandRunner = new HostCommandRunner(),
  findDevice: typeof overlayDeviceOf = overlayDeviceOf,
): Promise<number> {
  const line = readFlags(io);
  if (line === undefined) return exitCodes.ok;
  const { runDir, etcdPrefix } = await readSettings(io, line);
  const footprint = await readFootprint(instancePaths(runDir, etcdPrefix));
  const overlayDevice = footprint && findDevice(etcdPrefix, footprint.subnet);
  const wanted = footprint && rulesOf(footprint, overlayDevice);
  const { signal } = new AbortController();
  const enableNftables = footprint?.firewall?.enableNftables ?? false;
  const selection = await selectFirewall(runner, { enableNftables }, signal);
  const sets = await reportFirewall(selection, wanted, signal);
  io.stdout(
    isSet(line, "json")
      ? JSON.stringify(toJson(footprint, sets)) + "\n"
      : render(footprint, etcdPrefix, sets),
  );
  return sets.some(({ state }) => state === "incomplete")
    ? exitCodes.notReady
    : exitCodes.ok;
}

function rulesOf(
  { network, subnet, firewall }: Footprint,
  overlayDevice: string | undefined,
): FirewallRules | undefined {
  if (firewall === undefined) return undefined;
  const antiSpoofing = firewall.antiSpoofing ? "kept" : undefined;
  const directDevices = "kept";
  return {
    network,
    subnet,
    overlayDevice,
    directDevices,
    ...firewall,
    antiSpoofing,
  };
}

/** The agent's device with the lease's address; its pair has the alias too. */
function overlayDeviceOf(
  etcdPrefix: string,
  subnet: Cidr,
): string | undefined {
  using rtnetlink = new KernelRtnetlink();
  return ownDevices(etcdPrefix, readDevices(rtnetlink), subnet.address)[0]
    ?.name;
}

function toJson(
  footprint: Footprint | undefined,
  sets: readonly RuleSetReport[],
): unknown {
  const { network, subnet, firewall } = footprint ?? {};
  return {
    schema: 1,
    network: network === undefined ? null : formatCidr(network),
    subnet: subnet === undefined ? null : formatCidr(subnet),
    masquerade: firewall?.masquerade ?? null,
    forward: firewall?.forward ?? null,
    sets,
  };
}

const STATE_TEXT: Readonly<Record<RuleSetState, string>> = {
  "in-place": "in place",
  "incomplete": "NOT in place",
  "left-over": "left over, the agent removes them",
  "absent": "none, none wanted",
  "unknown": "as found",
};

function render(
  footprint: Footprint | undefined,
  etcdPrefix: string,
  sets: readonly RuleSetReport[],
): string {
  const lines = [describeNetwork(footprint, etcdPrefix)];
  for (const { tool, purpose, state, rules, toDo } of sets) {
    const text = state === "unknown" && rules.length === 0
      ? "none"
      : STATE_TEXT[state];
    lines.push(`${tool}, ${purpose}: ${text}`);
    lines.push(...rules.map((rule) => `  ${rule}`));
    lines.push(...toDo.map((each) => `  to do: ${each}`));
  }
  return lines.map((line) => `${line}\n`).join("");
}

function describeNetwork(
  footprint: Footprint | undefined,
  etcdPrefix: string,
): string {
  if (footprint === undefined) {
    return `no agent of ${etcdPrefix} has left anything on this host`;
  }
  const { network, subnet, firewall } = footprint;
  const words = [
    `network ${formatCidr(network)}, subnet ${formatCidr(subnet)}`,
  ];
  if (firewall !== undefined) {
    words.push(`--ip-masq=${firewall.masquerade}`);
    words.push(`--iptables-forward-rules=${firewall.forward}`);
  }
  return words.join(", ");
}
