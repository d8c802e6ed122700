/**
 * The interface to the other hosts, as a start would choose it.
 *
 * @module
 */

import { backendOf } from "../../../backend/backends.ts";
import type { Settings } from "../../../config/settings.ts";
import { InterfaceError } from "../../../host/underlay/interface_errors.ts";
import { pickUnderlay } from "../../../host/underlay/interface_picker.ts";
import { underlayWarnings } from "../../../host/underlay/underlay_warnings.ts";
import type { RtnetlinkReader } from "../../../linux/netlink/rtnetlink.ts";
import { parseProcNetUdp } from "../../../linux/udp_sockets.ts";
import { formatCidr } from "../../../net/cidr.ts";
import { formatIpv4 } from "../../../net/ipv4.ts";
import type { Underlay } from "../../../net/underlay.ts";
import type { Check, DoctorHost, KnownNetwork } from "../check.ts";
import { type Finding, findingOn } from "../finding.ts";

/** See the module. */
export const underlayCheck: Check = {
  name: "underlay",
  run: async (host, signal) => {
    const underlay = underlayOf(host.settings, host.rtnetlink);
    if (underlay instanceof InterfaceError) {
      return [
        findingOn("underlay.interface", "underlay").problem(
          underlay.message,
          underlay.hint,
        ),
      ];
    }
    const [network, { kind }] = await Promise.all([
      host.network(signal),
      host.agent(signal),
    ]);
    return [
      ...interfaceOf(host, underlay),
      mtu(underlay, network),
      address(underlay, network),
      // A running agent holds its port itself.
      ...kind === "absent" ? port(host, underlay, network) : [],
    ];
  },
};

/** What a start would choose, or why it could not. */
export function underlayOf(
  settings: Settings,
  rtnetlink: RtnetlinkReader,
): Underlay | InterfaceError {
  try {
    return pickUnderlay(settings, rtnetlink);
  } catch (error) {
    if (error instanceof InterfaceError) return error;
    throw error;
  }
}

function interfaceOf({ rtnetlink }: DoctorHost, underlay: Underlay): Finding[] {
  const { address, interfaceIndex, interfaceName, publicIp } = underlay;
  const links = rtnetlink.links();
  const link = links.find(({ index }) => index === interfaceIndex);
  const outside = publicIp === address
    ? ""
    : `, PublicIP ${formatIpv4(publicIp)}`;
  const fact = findingOn("underlay.interface", "underlay");
  const value = `${interfaceName} ${formatIpv4(address)}${outside}`;
  const state: Finding = link?.up !== true
    ? fact.problem(`${value} is down`, `ip link set ${interfaceName} up`)
    : link.carrier
    ? fact.ok(value)
    : fact.problem(
      `${value} has no carrier`,
      `check the cable of ${interfaceName} and its other end`,
    );
  return [
    state,
    ...underlayWarnings(underlay, links, rtnetlink.addresses()).map((
      { fix, text },
    ): Finding => fact.warning(text, fix)),
  ];
}

/** What every IPv6 link carries; tunnels and clouds are often a little below 1500. */
const USUAL_MTU_BYTES = 1280;

function mtu(
  { interfaceName, mtuBytes }: Underlay,
  { config }: KnownNetwork,
): Finding {
  const fact = findingOn("underlay.mtu", "MTU");
  const value = `${interfaceName} ${mtuBytes}`;
  if (mtuBytes < USUAL_MTU_BYTES) {
    return fact.warning(
      `${value}: small, so packets of containers are small`,
      `ip link set ${interfaceName} mtu 1500`,
    );
  }
  if (config === undefined) return fact.ok(value);
  const { options, type } = config.backend;
  const inner = backendOf(type).overlayMtuBytes(options, mtuBytes);
  return fact.ok(`${value}, so the overlay has ${inner} (${type})`);
}

/** Whether the agent could open its socket. */
function port(
  { readText }: DoctorHost,
  { address }: Underlay,
  { config }: KnownNetwork,
): Finding[] {
  const backend = config?.backend;
  const wanted = backend &&
    backendOf(backend.type).socketPort?.(backend.options);
  const text = readText("/proc/self/net/udp");
  if (wanted === undefined || text === undefined) return [];
  const isTaken = parseProcNetUdp(text).some((socket) =>
    socket.port === wanted &&
    (socket.address === 0 || socket.address === address)
  );
  const fact = findingOn("underlay.port", "port");
  return [
    isTaken
      ? fact.problem(
        `UDP ${wanted} is in use by another program`,
        `ss -lunp sport = :${wanted}, and stop what it shows, or give ` +
          "the network another Backend.Port",
      )
      : fact.ok(`UDP ${wanted} is free`),
  ];
}

/** To ask the link by ARP would mean to send. */
function address(
  { publicIp }: Underlay,
  { hostId, leases }: KnownNetwork,
): Finding {
  const fact = findingOn("underlay.address", "address");
  const text = formatIpv4(publicIp);
  const unasked = "no packet is sent to ask the link";
  if (leases === undefined) {
    return fact.note(
      `not known whether another host has ${text}: the leases in etcd ` +
        `cannot be read, and ${unasked}`,
    );
  }
  const other = leases.find(({ attributes }) =>
    attributes.publicIp === publicIp && attributes.hostId !== undefined &&
    attributes.hostId !== hostId
  );
  if (other !== undefined) {
    // A host without an identity yet may have been installed before.
    return fact[hostId === undefined ? "note" : "warning"](
      `another installation holds ${formatCidr(other.subnet)} for ` +
        `${text}: a former one of this host, or a host with its address`,
      `ping ${text} from a third host and compare ip neigh show ${text}; ` +
        "give one of the two another address",
    );
  }
  return fact.ok(`${text} is in no other host's lease; ${unasked}`);
}
