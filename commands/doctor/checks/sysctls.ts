/**
 * Kernel settings that the overlay depends on.
 *
 * @module
 */

import {
  ownDevices,
  readDevices,
} from "../../../agent/instance/own_devices.ts";
import { isCrowded, roomFor } from "../../../backend/kernel_backend.ts";
import { checkSysctls } from "../../../host/sysctl_check.ts";
import type { Check, DoctorHost, KnownNetwork } from "../check.ts";
import { type Finding, findingOn } from "../finding.ts";
import type { FindingCode } from "../finding_codes.ts";
import { underlayOf } from "./underlay.ts";

/** See the module. */
export const sysctlsCheck: Check = {
  name: "kernel settings",
  run: async (host, signal) => [
    ...common(host),
    ...unprivilegedBpf(host),
    ...neighbours(host, await host.network(signal)),
  ],
};

const CODES: readonly (readonly [RegExp, FindingCode, string])[] = [
  [/forward/, "sysctl.forwarding", "forwarding"],
  [/rp_filter/, "sysctl.rp-filter", "rp_filter"],
  [/bridge-nf/, "sysctl.bridge-nf", "bridge-nf"],
];

function common(host: DoctorHost): Finding[] {
  const { setSysctls } = host.settings;
  const read = readerOf(host);
  const found = checkSysctls(devicesOf(host), read).map((
    { fix, isOurs, name, path, severity, text, value, wanted },
  ): Finding => {
    const [, code, what] = CODES.find(([pattern]) => pattern.test(path))!;
    const isSet = isOurs && setSysctls;
    const fact = findingOn(code, what);
    return isSet
      ? fact.note(
        `${name} is ${value}; the agent sets it to ${wanted} (--set-sysctls)`,
      )
      : fact[severity === "warning" ? "problem" : "note"](
        `${name} is ${value}: ${text}`,
        fix,
      );
  });
  const right = CODES.filter(([, code]) =>
    !found.some((finding) => finding.code === code)
  ).flatMap(([, code, what]): Finding[] => {
    const value = rightValue(code, read);
    return value === undefined ? [] : [findingOn(code, what).ok(value)];
  });
  return [...found, ...right];
}

function rightValue(
  code: FindingCode,
  read: (path: string) => string | undefined,
): string | undefined {
  switch (code) {
    case "sysctl.forwarding": {
      const value = read("net/ipv4/ip_forward");
      return value && `net.ipv4.ip_forward is ${value}`;
    }
    case "sysctl.rp-filter":
      return "packets are accepted whatever the way back to their sender";
    default:
      return "packets between containers of one bridge do not pass iptables";
  }
}

/** The underlay's device, and this network's that the host routes by. */
function devicesOf({ rtnetlink, settings }: DoctorHost): string[] {
  const underlay = underlayOf(settings, rtnetlink);
  const own = ownDevices(settings.etcdPrefix, readDevices(rtnetlink));
  return [
    ...own.map(({ name }) => name),
    ..."interfaceName" in underlay ? [underlay.interfaceName] : [],
  ];
}

function unprivilegedBpf(host: DoctorHost): Finding[] {
  const value = readerOf(host)("kernel/unprivileged_bpf_disabled");
  if (value === undefined) return [];
  const name = "kernel.unprivileged_bpf_disabled";
  const fact = findingOn("sysctl.unprivileged-bpf", "bpf for users");
  return value === "0"
    ? [
      fact.note(
        `${name} is 0: every user may load programs; Loden needs root's ` +
          "only",
        `sysctl -w ${name}=1`,
      ),
    ]
    : [fact.ok(`${name} is ${value}`)];
}

/** Every peer of these takes one. */
const WITH_NEIGHBOURS = ["vxlan", "host-gw", "ipip", "wireguard"];
const LIMIT = "net/ipv4/neigh/default/gc_thresh3";

/** The limit is the machine's: a network namespace does not have the file. */
function neighbours(
  host: DoctorHost,
  { config, leases }: KnownNetwork,
): Finding[] {
  const limit = Number(readerOf(host)(LIMIT));
  if (!(limit > 0)) return [];
  const name = LIMIT.replaceAll("/", ".");
  const fact = findingOn("sysctl.neighbours", "neighbours");
  const hosts = leases?.length ?? 0;
  const needsOneEach = config !== undefined &&
    WITH_NEIGHBOURS.includes(config.backend.type);
  return needsOneEach && isCrowded(hosts, limit)
    ? [
      fact.warning(
        `${name} is ${limit}, and ${hosts} hosts need an entry each`,
        `sysctl -w ${name}=${roomFor(hosts)}`,
      ),
    ]
    : [fact.ok(`${name} is ${limit}`)];
}

function readerOf({ readText }: DoctorHost) {
  return (path: string) => readText(`/proc/sys/${path}`)?.trim();
}
