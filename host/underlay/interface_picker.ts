/**
 * Chooses the interface and address of the underlay.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { NetlinkError } from "../../linux/netlink/errors.ts";
import { MAIN_TABLE } from "../../linux/netlink/route.ts";
import {
  KINDS_WITH_PORTS,
  type Link,
  type RtnetlinkReader,
} from "../../linux/netlink/rtnetlink.ts";
import { formatIpv4, type Ipv4, parseIpv4 } from "../../net/ipv4.ts";
import {
  LEAST_OVERLAY_MTU_BYTES,
  UDP_ENCAPSULATION_BYTES,
  underlayMtu,
} from "../../net/mtu.ts";
import type { Underlay } from "../../net/underlay.ts";
import {
  BadInterfaceOptionError,
  CannotReachError,
  InterfaceError,
  InterfaceMtuError,
  InterfaceNotFoundError,
  NoDefaultRouteError,
  NoInterfaceAddressError,
  NoInterfaceMatchedError,
} from "./interface_errors.ts";
import { InterfaceList } from "./interface_list.ts";

/** flannel's flags that select it; empty if not given. */
export interface InterfaceOptions {
  /** `--iface`: names or IPv4 addresses, tried in order. */
  readonly iface: readonly string[];
  /** `--iface-regex`, as JavaScript patterns for the `u` flag, tried next. */
  readonly ifaceRegex: readonly string[];
  /** `--iface-can-reach`: an IPv4 address, tried last. */
  readonly ifaceCanReach: string;
  /** `--public-ip`: the IPv4 address at which other hosts reach this one. */
  readonly publicIp: string;
}

/** The smallest MTU that the overlay fits into. */
export const LEAST_MTU_BYTES = LEAST_OVERLAY_MTU_BYTES +
  UDP_ENCAPSULATION_BYTES;

/** An interface, and the address to use if the option names one. */
interface Choice {
  readonly link: Link;
  readonly address?: Ipv4 | undefined;
}

const log = getLogger(["loden", "host"]);

/**
 * Follows flannel's order (compat 6.1): each `iface`, each `ifaceRegex`, then
 * `ifaceCanReach`; the first that matches an interface with an address wins.
 * Without these options it is the interface that has `publicIp`, otherwise that
 * of the default route. Unlike in flannel, a `publicIp` alone need not be an
 * address of this host.
 *
 * Throws {@linkcode InterfaceError}, whose `retryable` says whether waiting can
 * help, and {@linkcode NetlinkError} if the kernel cannot be queried.
 */
export function pickUnderlay(
  options: InterfaceOptions,
  rtnetlink: RtnetlinkReader,
): Underlay {
  const publicIp = parseOption("public-ip", options.publicIp);
  const host = InterfaceList.read(rtnetlink);
  const attempts = attemptsFor(options, host, rtnetlink);
  if (attempts.length === 0) {
    const owner = publicIp === undefined ? undefined : host.ownerOf(publicIp);
    return underlayOf(
      owner === undefined
        ? { link: defaultRouteLink(host, rtnetlink) }
        : { link: owner, address: publicIp },
      publicIp,
      host,
    );
  }
  const failures: InterfaceError[] = [];
  for (const attempt of attempts) {
    try {
      const underlay = underlayOf(attempt(), publicIp, host);
      reportFailures(failures, underlay);
      return underlay;
    } catch (error) {
      if (!(error instanceof InterfaceError)) throw error;
      failures.push(error);
    }
  }
  throw failures.length === 1
    ? failures[0]
    : new NoInterfaceMatchedError(failures, host.describe());
}

/** One function per given option, in the order in which they are tried. */
function attemptsFor(
  options: InterfaceOptions,
  host: InterfaceList,
  rtnetlink: RtnetlinkReader,
): (() => Choice)[] {
  const { iface, ifaceRegex, ifaceCanReach } = options;
  return [
    ...iface.map((value) => () => byNameOrAddress(value, host)),
    ...ifaceRegex.map((pattern) => () => byPattern(pattern, host)),
    ...(ifaceCanReach === ""
      ? []
      : [() => byRoute(ifaceCanReach, host, rtnetlink)]),
  ];
}

function byNameOrAddress(value: string, host: InterfaceList): Choice {
  const address = parseIpv4(value);
  const link = address === undefined
    ? host.byName(value)
    : host.ownerOf(address);
  if (link === undefined) {
    throw new InterfaceNotFoundError(
      "iface",
      "be the name or an IPv4 address of an interface of this host",
      value,
      host.describe(),
    );
  }
  return { link, address };
}

/** All addresses of all interfaces come before any name. */
function byPattern(pattern: string, host: InterfaceList): Choice {
  const regex = compile(pattern);
  for (const link of host.links) {
    for (const { address } of host.usable(link)) {
      if (regex.test(formatIpv4(address))) return { link, address };
    }
  }
  const link = host.links.find(({ name }) => regex.test(name));
  if (link !== undefined) return { link };
  throw new InterfaceNotFoundError(
    "iface-regex",
    "match an IPv4 address or the name of an interface of this host",
    pattern,
    host.describe(),
  );
}

function compile(pattern: string): RegExp {
  try {
    return new RegExp(pattern, "u");
  } catch (error) {
    throw new BadInterfaceOptionError(
      "iface-regex",
      "a regular expression",
      pattern,
      error,
    );
  }
}

function byRoute(
  value: string,
  host: InterfaceList,
  rtnetlink: RtnetlinkReader,
): Choice {
  const destination = parseOption("iface-can-reach", value)!;
  try {
    const { interfaceIndex, source } = rtnetlink.routeTo(destination);
    const link = host.byIndex(interfaceIndex);
    // The route to an own address uses the loopback interface, which is never
    // meant: the same flag on all hosts names the etcd server, and this host
    // may be that server.
    const owner = link?.loopback ? host.ownerOf(destination) : link;
    if (owner !== undefined) return { link: owner, address: source };
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    throw new CannotReachError(destination, error);
  }
  throw new CannotReachError(destination, undefined);
}

/** The kernel lists the routes of one destination with the lowest metric first. */
function defaultRouteLink(
  host: InterfaceList,
  rtnetlink: RtnetlinkReader,
): Link {
  const route = rtnetlink.routes().find(({ table, type, destination }) =>
    table === MAIN_TABLE && type === "unicast" && destination.prefixLength === 0
  );
  if (route === undefined) {
    throw new NoDefaultRouteError("there is none", host.describe());
  }
  const link = host.byIndex(route.interfaceIndex ?? 0);
  if (link === undefined) {
    throw new NoDefaultRouteError(
      route.multipath
        ? "it has several next hops"
        : "its interface is not there",
      host.describe(),
    );
  }
  return link;
}

function underlayOf(
  { link, address }: Choice,
  publicIp: Ipv4 | undefined,
  host: InterfaceList,
): Underlay {
  const own = address ?? host.usable(link)[0]?.address;
  if (own === undefined) {
    const master = host.byIndex(link.masterIndex ?? 0);
    const isPort = KINDS_WITH_PORTS.includes(master?.kind ?? "");
    throw new NoInterfaceAddressError(
      link.name,
      isPort ? master?.name : undefined,
    );
  }
  if (link.mtuBytes < LEAST_MTU_BYTES) {
    throw new InterfaceMtuError(link.name, link.mtuBytes, LEAST_MTU_BYTES);
  }
  return {
    interfaceName: link.name,
    interfaceIndex: link.index,
    address: own,
    publicIp: publicIp ?? own,
    mtuBytes: underlayMtu(link.mtuBytes),
    mac: link.mac,
  };
}

/** The address of a flag; `undefined` if the flag is not given. */
function parseOption(flag: string, value: string): Ipv4 | undefined {
  if (value === "") return undefined;
  const address = parseIpv4(value);
  if (address === undefined) {
    throw new BadInterfaceOptionError(flag, "an IPv4 address", value);
  }
  return address;
}

function reportFailures(
  failures: readonly InterfaceError[],
  underlay: Underlay,
): void {
  for (const failure of failures) {
    log.info("an interface option matched nothing", {
      event: "underlay.option-failed",
      code: failure.code,
      reason: failure.message,
      chosen: underlay.interfaceName,
    });
  }
}
