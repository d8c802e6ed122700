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
  readText,
  readU32,
  splitPayload,
  textAttribute,
  u32Attribute,
} from "./codec.ts";
import type { NetlinkRequest } from "./request.ts";
import type { Link, LinkChange } from "./rtnetlink.ts";

const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_SETLINK = 19;

/** family (u8), padding (u8), type (u16), index (i32), flags (u32), change (u32). */
const IFINFOMSG_BYTES = 16;

const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;

const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_TXQLEN = 13;
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;
const IFLA_IFALIAS = 20;
const IFLA_STATS64 = 23;

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
    attributes.push(u32Attribute(IFLA_MTU, change.mtuBytes));
  }
  if (change.alias !== undefined) {
    attributes.push(textAttribute(IFLA_IFALIAS, change.alias));
  }
  if (change.txQueueLength !== undefined) {
    attributes.push(u32Attribute(IFLA_TXQLEN, change.txQueueLength));
  }
  const header = linkHeader(
    interfaceIndex,
    change.up ? IFF_UP : 0,
    change.up === undefined ? 0 : IFF_UP,
  );
  return {
    type: RTM_SETLINK,
    flags: 0,
    payload: joinPayload(header, attributes),
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
  const mtu = attributes.get(IFLA_MTU);
  const hardwareAddress = attributes.get(IFLA_ADDRESS);
  const info = attributes.get(IFLA_LINKINFO);
  const kind = info && decodeAttributes(info).get(IFLA_INFO_KIND);
  const statistics = attributes.get(IFLA_STATS64);
  return {
    index: header.getInt32(4, true),
    name: text(IFLA_IFNAME),
    mtuBytes: mtu === undefined ? 0 : readU32(mtu),
    up: (flags & IFF_UP) !== 0,
    loopback: (flags & IFF_LOOPBACK) !== 0,
    // Tunnels have an IP address there, InfiniBand has 20 bytes.
    mac: hardwareAddress?.length === MAC_BYTES
      ? hardwareAddress.slice()
      : new Uint8Array(0),
    kind: kind === undefined ? "" : readText(kind),
    alias: text(IFLA_IFALIAS),
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
