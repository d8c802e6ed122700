/**
 * What a start of the agent would find and change, and what would stop it.
 *
 * @module
 */

import { backendOf } from "../../backend/backends.ts";
import type { Leftover } from "../../backend/leftovers.ts";
import { ownDevices } from "../../agent/instance/own_devices.ts";
import { deviceAlias } from "../../agent/instance/footprint.ts";
import { describeError } from "../../errors.ts";
import type { NetworkConfig } from "../../config/network/network.ts";
import type { AddressConflicts } from "../../agent/network/address_conflicts.ts";
import { isServedAlready } from "../../host/network_fit.ts";
import type { SysctlFinding } from "../../host/sysctl_check.ts";
import type { UnderlayWarning } from "../../host/underlay/underlay_warnings.ts";
import {
  type AcquisitionPlan,
  planAcquisition,
  type PreviousSubnet,
} from "../../lease/own/acquisition_plan.ts";
import type { LeaseSnapshot } from "../../lease/registry.ts";
import type { LinkAddress, Route } from "../../linux/netlink/rtnetlink.ts";
import type { Link } from "../../linux/netlink/rtnetlink.ts";
import { type Cidr, formatCidr } from "../../net/cidr.ts";
import { formatIpv4, type Ipv4 } from "../../net/ipv4.ts";
import { type OverlayMtu, overlayMtu } from "../../net/mtu.ts";
import type { Underlay } from "../../net/underlay.ts";

/**
 * One line of the plan. `would`: a change; `keeps`: as it should be; `note`: worth
 * knowing; `stopped`: why the start would fail or wait.
 */
export interface StartStep {
  readonly kind: "would" | "keeps" | "note" | "stopped";
  readonly text: string;
}

const would = (text: string): StartStep => ({ kind: "would", text });
const keeps = (text: string): StartStep => ({ kind: "keeps", text });
const note = (text: string): StartStep => ({ kind: "note", text });
const stopped = (text: string): StartStep => ({ kind: "stopped", text });

/** The lease that the agent would take. */
export interface LeaseForecast {
  readonly steps: readonly StartStep[];
  /** `undefined` when it would be any free one. */
  readonly subnet: Cidr | undefined;
}

/** What this host is to etcd. */
export interface LeaseClaim {
  readonly publicIp: Ipv4;
  readonly hostId: string | undefined;
  /** As the lease keeper is given them. */
  readonly previous: readonly PreviousSubnet[];
}

/** By the same plan as the agent (`lease/own/acquisition_plan.ts`). */
export function forecastLease(
  { backend, pool }: NetworkConfig,
  snapshot: LeaseSnapshot,
  { publicIp, hostId, previous }: LeaseClaim,
): LeaseForecast {
  const plan = planAcquisition(snapshot, pool, {
    publicIp,
    backendType: backend.type,
    ...hostId !== undefined && { hostId },
  }, previous);
  const discarded = plan.discard.map(({ subnet }) =>
    would(`delete this host's other lease ${formatCidr(subnet)}`)
  );
  const { subnet, step } = forecastStep(plan, pool.network, publicIp);
  return { steps: [...discarded, step], subnet };
}

function forecastStep(
  { step }: AcquisitionPlan,
  network: Cidr,
  publicIp: Ipv4,
): { subnet: Cidr | undefined; step: StartStep } {
  switch (step.type) {
    case "renew": {
      const { subnet } = step.lease;
      const text = `lease ${formatCidr(subnet)}`;
      return step.reason === "own"
        ? { subnet, step: keeps(`${text}, this host's`) }
        : {
          subnet,
          step: would(
            `take over the ${text}, which has this host's address ` +
              formatIpv4(publicIp),
          ),
        };
    }
    case "create":
      return {
        subnet: step.subnet,
        step: would(
          `lease ${formatCidr(step.subnet)} again (known from the ` +
            `${step.reason.replace("-", " ")})`,
        ),
      };
    case "allocate":
      return {
        subnet: undefined,
        step: would(
          `lease a free subnet of ${formatCidr(network)} ` +
            `(${step.held.length} are held)`,
        ),
      };
  }
}

/** The underlay, and what looks wrong about it. */
export function forecastUnderlay(
  { interfaceName, address, publicIp, mtuBytes }: Underlay,
  warnings: readonly UnderlayWarning[],
): StartStep[] {
  const outside = publicIp === address
    ? ""
    : `, public ${formatIpv4(publicIp)}`;
  return [
    note(
      `underlay ${interfaceName} ${formatIpv4(address)}${outside}, ` +
        `MTU ${mtuBytes}`,
    ),
    ...warnings.map(({ text, fix }) => note(`${text}: ${fix}`)),
  ];
}

/** Whether the network's addresses are free here. */
export function forecastAddressConflicts(
  { overlaps, isServed }: AddressConflicts,
): StartStep[] {
  return overlaps.map(({ kind, text, fix = "publish another Network" }) =>
    kind === "takeover"
      ? note(`the network takes part of the route ${text}`)
      : isServed
      ? note(`the network overlaps ${text}, and runs already: ${fix}`)
      : stopped(`the network overlaps ${text}: ${fix}`)
  );
}

/** The kernel's state, and the overlay device that is wanted. */
export interface DeviceContext {
  readonly etcdPrefix: string;
  readonly backend: NetworkConfig["backend"];
  /** `--device`: a name or a pattern. */
  readonly deviceName: string;
  readonly dataPath: string;
  readonly allowExtensionCommands: boolean;
  readonly network: Cidr;
  readonly subnet: Cidr | undefined;
  readonly underlay: Underlay;
  readonly links: readonly Link[];
  readonly addresses: readonly LinkAddress[];
  readonly routes: readonly Route[];
}

/** The overlay device as a start leaves it. */
export interface DeviceForecast {
  readonly steps: readonly StartStep[];
  /** `undefined` for a device that would get the first free name. */
  readonly name: string | undefined;
  readonly mtuBytes: OverlayMtu;
}

/** The device, its address and the safety route, each kept or created. */
export function forecastDevice(context: DeviceContext): DeviceForecast {
  const { backend, deviceName, network, underlay } = context;
  const { type, options } = backend;
  const descriptor = backendOf(type);
  const mtuBytes = overlayMtu(
    descriptor.overlayMtuBytes(options, underlay.mtuBytes),
  );
  const device = descriptor.deviceName(options, deviceName);
  const link = device === undefined ? undefined : findOwn(context);
  const route = `route unreachable ${formatCidr(network)}`;
  const refusal = descriptor.refusal?.({
    allowsCommands: context.allowExtensionCommands,
  });
  const steps = [
    ...refusal === undefined ? [] : [stopped(describeError(refusal))],
    ...(device === undefined
      ? [note(`backend ${type}: no device`)]
      : link === undefined
      ? [would(`create device ${device}, MTU ${mtuBytes} (${pathOf(context)})`)]
      : [
        keeps(`device ${link.name} (${pathOf(context)})`),
        ...forecastAddress(link, context),
      ]),
    isServedAlready(network, context)
      ? keeps(route)
      : would(`add ${route}, and the peers'`),
  ];
  return { steps, name: link?.name, mtuBytes };
}

/** This network's device; of a pair, the end with the address. */
function findOwn(
  { addresses, etcdPrefix, links }: DeviceContext,
): Link | undefined {
  const alias = deviceAlias(etcdPrefix);
  return ownDevices(etcdPrefix, { addresses, links })[0] ??
    links.find((link) => link.alias === alias);
}

function forecastAddress(
  { index, name }: Link,
  { addresses, subnet }: DeviceContext,
): StartStep[] {
  if (subnet === undefined) return [];
  const address = `address ${formatIpv4(subnet.address)}/32`;
  const isThere = addresses.some((each) =>
    each.interfaceIndex === index && each.address === subnet.address
  );
  return [
    isThere
      ? keeps(`${address} of ${name}`)
      : would(`change the address of ${name} to ${address}`),
  ];
}

function pathOf({ backend: { type }, dataPath }: DeviceContext): string {
  return backendOf(type).hasDataPaths ? `data path ${dataPath}` : type;
}

/** What other backends have left inside the network. */
export function forecastLeftovers(
  leftovers: readonly Leftover[],
  { takeOver, encrypts }: {
    readonly takeOver: boolean;
    readonly encrypts: boolean;
  },
): StartStep[] {
  return leftovers.map(({ fix, owner, what }) => {
    if (owner === "loden" || takeOver) return would(`remove ${what}`);
    const text = `flannel has left a ${what}, which takes packets: ${fix}, ` +
      "or start with --take-over-devices";
    return encrypts ? stopped(text) : note(text);
  });
}

/** One set of firewall rules: its tool, and what `ensure` would change. */
export interface FirewallForecast {
  readonly name: string;
  readonly changes: readonly string[];
}

/** The rules that are missing. */
export function forecastFirewall(
  sets: readonly FirewallForecast[],
): StartStep[] {
  return sets.flatMap(({ name, changes }) =>
    changes.length === 0
      ? [keeps(`firewall rules: ${name}`)]
      : changes.map((change) =>
        would(`change firewall rules: ${name}: ${change}`)
      )
  );
}

/** Kernel settings; they are set only with `--set-sysctls`. */
export function forecastSysctls(
  findings: readonly SysctlFinding[],
  isAsked: boolean,
): StartStep[] {
  return findings.flatMap(({ name, wanted, isOurs, severity, text, fix }) =>
    isAsked && isOurs
      ? [would(`set ${name} to ${wanted}`)]
      : severity === "warning"
      ? [note(`${name}: ${text}: ${fix}`)]
      : []
  );
}

/** A file that would be written; texts are `undefined` where not known. */
export interface FileForecast {
  readonly path: string;
  readonly present: string | undefined;
  readonly wanted: string | undefined;
}

/** Files with the same content are not written again. */
export function forecastFiles(files: readonly FileForecast[]): StartStep[] {
  return files.map(({ path, present, wanted }) =>
    present !== undefined && present === wanted
      ? keeps(`file ${path}`)
      : would(`${present === undefined ? "write" : "rewrite"} file ${path}`)
  );
}

/** The plan for people, one line each. */
export function renderStartPlan(steps: readonly StartStep[]): string {
  const lines = steps.map(({ kind, text }) => `${WORDS[kind]} ${text}`);
  if (steps.some(({ kind }) => kind === "stopped")) {
    lines.push("the agent would stop here");
  } else if (!steps.some(({ kind }) => kind === "would")) {
    lines.push("nothing would change");
  }
  return lines.map((line) => `${line}\n`).join("");
}

const WORDS: Readonly<Record<StartStep["kind"], string>> = {
  would: "would",
  keeps: "keeps",
  note: "note:",
  stopped: "STOPPED:",
};
