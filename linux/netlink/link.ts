/**
 * Messages about network devices (`RTM_*LINK`): `struct ifinfomsg` and
 * `IFLA_*` attributes.
 *
 * Source: `linux/rtnetlink.h`, `linux/if_link.h`, `linux/if.h`.
 *
 * @module
 */

import {
  type Attribute,
  decodeAttributes,
  joinPayload,
  nestedAttribute,
  readText,
  readU32,
  REQUEST_FLAG,
  splitPayload,
  textAttribute,
  u32Attribute,
} from "./codec.ts";
import type { NetlinkRequest } from "./request.ts";
import type { Link, LinkChange, NewVethPair } from "./rtnetlink.ts";

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_SETLINK = 19;

/** family (u8), padding (u8), type (u16), index (i32), flags (u32), change (u32). */
export const IFINFOMSG_BYTES = 16;

const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;
const IFF_NOARP = 0x80;
const IFF_LOWER_UP = 0x10000;
const IF_OPER_UP = 6;

/** `IFLA_*`. */
export const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  OPERSTATE: 16,
  LINKINFO: 18,
  IFALIAS: 20,
  STATS64: 23,
  AF_SPEC: 26,
  NUM_TX_QUEUES: 31,
  NUM_RX_QUEUES: 32,
  LINK_NETNSID: 37,
  GSO_MAX_SIZE: 41,
  GSO_IPV4_MAX_SIZE: 63,
} as const;

/** `IFLA_INFO_*`, inside of LINKINFO. */
export const INFO = { KIND: 1, DATA: 2 } as const;

/** `linux/veth.h`. */
const VETH_INFO_PEER = 1;

const AF_INET6 = 10;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IN6_ADDR_GEN_MODE_NONE = 1;

/** Offsets of two u64 in `struct rtnl_link_stats64`. */
const RX_DROPPED_OFFSET = 48;
const TX_DROPPED_OFFSET = 56;

const MAC_BYTES = 6;

function linkHeader(index: number, flags: number, change: number): Uint8Array {
  const header = new Uint8Array(IFINFOMSG_BYTES);
  const view = new DataView(header.buffer);
  view.setInt32(4, index, true);
  view.setUint32(8, flags, true);
  view.setUint32(12, change, true);
  return header;
}

/** A request about one device (0: a new one), without a change of its flags. */
export function linkMessage(
  index: number,
  attributes: readonly Attribute[],
): Uint8Array {
  return joinPayload(linkHeader(index, 0, 0), attributes);
}

/** Asks for every device. */
export function listLinksRequest(): NetlinkRequest {
  return { type: RTM_GETLINK, flags: 0, payload: linkHeader(0, 0, 0) };
}

/** Asks for changes to a device; the kernel makes them one after the other. */
export function setLinkRequest(
  interfaceIndex: number,
  change: LinkChange,
): NetlinkRequest {
  const attributes: Attribute[] = [];
  if (change.mtuBytes !== undefined) {
    attributes.push(u32Attribute(IFLA.MTU, change.mtuBytes));
  }
  if (change.alias !== undefined) {
    attributes.push(textAttribute(IFLA.IFALIAS, change.alias));
  }
  if (change.name !== undefined) {
    attributes.push(textAttribute(IFLA.IFNAME, change.name));
  }
  if (change.mac !== undefined) {
    attributes.push({ type: IFLA.ADDRESS, value: change.mac });
  }
  if (change.gsoMaxBytes !== undefined) {
    // Linux 6.3 gave IPv4 a limit of its own, which follows up to 64 KiB.
    attributes.push(u32Attribute(IFLA.GSO_MAX_SIZE, change.gsoMaxBytes));
  }
  const header = linkHeader(
    interfaceIndex,
    (change.up ? IFF_UP : 0) | (change.arp === false ? IFF_NOARP : 0),
    (change.up === undefined ? 0 : IFF_UP) |
      (change.arp === undefined ? 0 : IFF_NOARP),
  );
  return {
    type: RTM_SETLINK,
    flags: 0,
    payload: joinPayload(header, attributes),
  };
}

/**
 * Asks for a pair of veth devices. `drivers/net/veth.c` configures each by its
 * own `struct ifinfomsg` and attributes.
 */
export function newVethPairRequest(pair: NewVethPair): NetlinkRequest {
  const header = linkHeader(0, IFF_NOARP, IFF_NOARP);
  const end = (name: string, mac: Uint8Array, mtuBytes: number) => [
    textAttribute(IFLA.IFNAME, name),
    { type: IFLA.ADDRESS, value: mac },
    u32Attribute(IFLA.MTU, mtuBytes),
    ...(pair.queues === undefined ? [] : [
      u32Attribute(IFLA.NUM_TX_QUEUES, pair.queues),
      u32Attribute(IFLA.NUM_RX_QUEUES, pair.queues),
    ]),
  ];
  const peer = joinPayload(
    header,
    end(pair.peerName, pair.peerMac, pair.peerMtuBytes),
  );
  const info = nestedAttribute(IFLA.LINKINFO, [
    textAttribute(INFO.KIND, "veth"),
    nestedAttribute(INFO.DATA, [{ type: VETH_INFO_PEER, value: peer }]),
  ]);
  return {
    type: RTM_NEWLINK,
    flags: REQUEST_FLAG.CREATE | REQUEST_FLAG.EXCLUSIVE,
    payload: joinPayload(header, [
      ...end(pair.name, pair.mac, pair.mtuBytes),
      info,
    ]),
  };
}

/** Asks for a device of a kind that has no settings of its own, down. */
export function newLinkRequest(
  kind: string,
  name: string,
  mtuBytes: number,
): NetlinkRequest {
  return {
    type: RTM_NEWLINK,
    flags: REQUEST_FLAG.CREATE | REQUEST_FLAG.EXCLUSIVE,
    payload: linkMessage(0, [
      textAttribute(IFLA.IFNAME, name),
      u32Attribute(IFLA.MTU, mtuBytes),
      nestedAttribute(IFLA.LINKINFO, [textAttribute(INFO.KIND, kind)]),
    ]),
  };
}

/**
 * Asks that a device never gives itself an IPv6 address, and so never looks for
 * IPv6 neighbours and routers. The kernel does not take this at a device's
 * creation.
 */
export function noIpv6AddressRequest(interfaceIndex: number): NetlinkRequest {
  const mode = {
    type: IFLA_INET6_ADDR_GEN_MODE,
    value: Uint8Array.of(IN6_ADDR_GEN_MODE_NONE),
  };
  return {
    type: RTM_SETLINK,
    flags: 0,
    payload: joinPayload(linkHeader(interfaceIndex, 0, 0), [
      nestedAttribute(IFLA.AF_SPEC, [nestedAttribute(AF_INET6, [mode])]),
    ]),
  };
}

/** Asks for the end of a device. */
export function removeLinkRequest(interfaceIndex: number): NetlinkRequest {
  return {
    type: RTM_DELLINK,
    flags: 0,
    payload: linkHeader(interfaceIndex, 0, 0),
  };
}

/** Reads the payload of an `RTM_NEWLINK`. */
export function parseLink(payload: Uint8Array): Link {
  const { header, attributes } = splitPayload(payload, IFINFOMSG_BYTES);
  const flags = header.getUint32(8, true);
  const text = (type: number) => {
    const value = attributes.get(type);
    return value === undefined ? "" : readText(value);
  };
  const mtu = attributes.get(IFLA.MTU);
  const hardwareAddress = attributes.get(IFLA.ADDRESS);
  const info = attributes.get(IFLA.LINKINFO);
  const kind = info && decodeAttributes(info).get(INFO.KIND);
  const statistics = attributes.get(IFLA.STATS64);
  const peer = attributes.get(IFLA.LINK);
  const master = attributes.get(IFLA.MASTER);
  const gso = attributes.get(IFLA.GSO_IPV4_MAX_SIZE) ??
    attributes.get(IFLA.GSO_MAX_SIZE);
  return {
    index: header.getInt32(4, true),
    name: text(IFLA.IFNAME),
    mtuBytes: mtu === undefined ? 0 : readU32(mtu),
    up: (flags & IFF_UP) !== 0,
    carrier: (flags & IFF_LOWER_UP) !== 0,
    operUp: attributes.get(IFLA.OPERSTATE)?.[0] === IF_OPER_UP,
    loopback: (flags & IFF_LOOPBACK) !== 0,
    noArp: (flags & IFF_NOARP) !== 0,
    // Tunnels have an IP address there, InfiniBand has 20 bytes.
    mac: hardwareAddress?.length === MAC_BYTES
      ? hardwareAddress.slice()
      : new Uint8Array(0),
    kind: kind === undefined ? "" : readText(kind),
    peerIndex: peer === undefined || attributes.has(IFLA.LINK_NETNSID)
      ? undefined
      : readU32(peer) || undefined,
    ...peer !== undefined && attributes.has(IFLA.LINK_NETNSID) &&
      { remoteIndex: readU32(peer) },
    ...master !== undefined && { masterIndex: readU32(master) },
    gsoMaxBytes: gso === undefined ? 0 : readU32(gso),
    alias: text(IFLA.IFALIAS),
    rxDropped: counter(statistics, RX_DROPPED_OFFSET),
    txDropped: counter(statistics, TX_DROPPED_OFFSET),
  };
}

/** A 64-bit counter; exact up to 2^53. */
function counter(statistics: Uint8Array | undefined, offset: number): number {
  if (statistics === undefined || statistics.length < offset + 8) return 0;
  const view = new DataView(
    statistics.buffer,
    statistics.byteOffset,
    statistics.byteLength,
  );
  return Number(view.getBigUint64(offset, true));
}

/**
 * The attributes that a kind of device has of its own, from the payload of an
 * `RTM_NEWLINK`; undefined for another kind.
 */
export function linkData(
  payload: Uint8Array,
  kind: string,
): ReadonlyMap<number, Uint8Array> | undefined {
  const { attributes } = splitPayload(payload, IFINFOMSG_BYTES);
  const info = attributes.get(IFLA.LINKINFO);
  if (info === undefined) return undefined;
  const parts = decodeAttributes(info);
  const name = parts.get(INFO.KIND);
  const data = parts.get(INFO.DATA);
  if (name === undefined || readText(name) !== kind || data === undefined) {
    return undefined;
  }
  return decodeAttributes(data);
}
