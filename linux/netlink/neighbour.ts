/**
 * Messages about neighbours (`RTM_*NEIGH`): hardware addresses of IPv4 neighbours,
 * and the forwarding database (FDB) of a VXLAN device, which maps a hardware
 * address to the underlay address of the host that has it. Both use
 * `struct ndmsg` and `NDA_*` attributes.
 *
 * Source: `linux/neighbour.h`, `drivers/net/vxlan/vxlan_core.c`.
 *
 * @module
 */

import { ipv4FromBytes, ipv4ToBytes } from "../../net/ipv4.ts";
import {
  joinPayload,
  REQUEST_FLAG,
  splitPayload,
  u32Attribute,
} from "./codec.ts";
import { AF_INET, type NetlinkRequest } from "./request.ts";
import type {
  ForwardingEntry,
  Neighbour,
  NeighbourEntry,
  NeighbourState,
} from "./rtnetlink.ts";

const RTM_NEWNEIGH = 28;
const RTM_DELNEIGH = 29;
const RTM_GETNEIGH = 30;

/** family, padding (u8 each), padding (u16), index (i32), state (u16), flags, type (u8 each). */
const NDMSG_BYTES = 12;
/** An FDB is listed by `struct ifinfomsg`, which has the index at the same place. */
const IFINFOMSG_BYTES = 16;

const NDA_DST = 1;
const NDA_LLADDR = 2;
const NDA_IFINDEX = 8;

const AF_BRIDGE = 7;
const NUD_PERMANENT = 0x80;
const STATES: Readonly<Record<number, NeighbourState>> = {
  0x00: "none",
  0x01: "incomplete",
  0x02: "reachable",
  0x04: "stale",
  0x08: "delay",
  0x10: "probe",
  0x20: "failed",
  0x40: "noarp",
  [NUD_PERMANENT]: "permanent",
};
const NTF_SELF = 0x02;
const RTN_UNICAST = 1;

const MAC_BYTES = 6;

interface Header {
  readonly family: number;
  readonly interfaceIndex: number;
  readonly state?: number;
  readonly flags?: number;
  readonly type?: number;
}

function encodeHeader(
  { family, flags = 0, interfaceIndex, state = 0, type = 0 }: Header,
  length = NDMSG_BYTES,
): Uint8Array {
  const header = new Uint8Array(length);
  const view = new DataView(header.buffer);
  header[0] = family;
  view.setInt32(4, interfaceIndex, true);
  if (length < NDMSG_BYTES) return header;
  view.setUint16(8, state, true);
  header[10] = flags;
  header[11] = type;
  return header;
}

/** Asks for the IPv4 neighbours of a device. */
export function listNeighboursRequest(interfaceIndex: number): NetlinkRequest {
  return {
    type: RTM_GETNEIGH,
    flags: 0,
    payload: joinPayload(encodeHeader({ family: AF_INET, interfaceIndex: 0 }), [
      u32Attribute(NDA_IFINDEX, interfaceIndex),
    ]),
  };
}

/** Asks for the FDB of a device. */
export function listForwardingRequest(interfaceIndex: number): NetlinkRequest {
  return {
    type: RTM_GETNEIGH,
    flags: 0,
    payload: encodeHeader(
      { family: AF_BRIDGE, interfaceIndex },
      IFINFOMSG_BYTES,
    ),
  };
}

/** Asks for a permanent neighbour, in place of one with its address. */
export function putNeighbourRequest(neighbour: Neighbour): NetlinkRequest {
  return {
    type: RTM_NEWNEIGH,
    flags: REQUEST_FLAG.CREATE | REQUEST_FLAG.REPLACE,
    payload: joinPayload(
      encodeHeader({
        family: AF_INET,
        interfaceIndex: neighbour.interfaceIndex,
        state: NUD_PERMANENT,
        type: RTN_UNICAST,
      }),
      [
        { type: NDA_DST, value: ipv4ToBytes(neighbour.address) },
        { type: NDA_LLADDR, value: neighbour.mac },
      ],
    ),
  };
}

/** Asks for the end of a neighbour, whatever its hardware address. */
export function deleteNeighbourRequest(
  { address, interfaceIndex }: Neighbour,
): NetlinkRequest {
  return {
    type: RTM_DELNEIGH,
    flags: 0,
    payload: joinPayload(encodeHeader({ family: AF_INET, interfaceIndex }), [
      { type: NDA_DST, value: ipv4ToBytes(address) },
    ]),
  };
}

/**
 * Asks for a permanent entry in a device's own FDB, in place of the one with its
 * hardware address: a unicast address has one remote.
 */
export function putForwardingRequest(entry: ForwardingEntry): NetlinkRequest {
  return {
    type: RTM_NEWNEIGH,
    flags: REQUEST_FLAG.CREATE | REQUEST_FLAG.REPLACE,
    payload: joinPayload(
      encodeHeader({
        family: AF_BRIDGE,
        interfaceIndex: entry.interfaceIndex,
        state: NUD_PERMANENT,
        flags: NTF_SELF,
      }),
      [
        { type: NDA_LLADDR, value: entry.mac },
        { type: NDA_DST, value: ipv4ToBytes(entry.remote) },
      ],
    ),
  };
}

/**
 * Asks for the end of an entry. The remote is left out: with a remote that the
 * entry does not have, the kernel says yes and removes nothing.
 */
export function deleteForwardingRequest(
  { interfaceIndex, mac }: ForwardingEntry,
): NetlinkRequest {
  return {
    type: RTM_DELNEIGH,
    flags: 0,
    payload: joinPayload(
      encodeHeader({
        family: AF_BRIDGE,
        interfaceIndex,
        state: NUD_PERMANENT,
        flags: NTF_SELF,
      }),
      [{ type: NDA_LLADDR, value: mac }],
    ),
  };
}

/** Reads an entry of a list; undefined for one that is not permanent. */
export function parseNeighbour(payload: Uint8Array): Neighbour | undefined {
  const { attributes, header } = splitPayload(payload, NDMSG_BYTES);
  const address = attributes.get(NDA_DST);
  const mac = attributes.get(NDA_LLADDR);
  if (!isPermanent(header) || address?.length !== 4) return undefined;
  return {
    interfaceIndex: header.getInt32(4, true),
    address: ipv4FromBytes(address),
    mac: mac?.length === MAC_BYTES ? mac.slice() : new Uint8Array(0),
  };
}

/** Reads an entry of any state; undefined for one of another device. */
export function parseNeighbourEntry(
  payload: Uint8Array,
  interfaceIndex: number,
): NeighbourEntry | undefined {
  const { attributes, header } = splitPayload(payload, NDMSG_BYTES);
  const address = attributes.get(NDA_DST);
  const mac = attributes.get(NDA_LLADDR);
  if (header.getInt32(4, true) !== interfaceIndex || address?.length !== 4) {
    return undefined;
  }
  return {
    address: ipv4FromBytes(address),
    state: STATES[header.getUint16(8, true)] ?? "none",
    mac: mac?.length === MAC_BYTES ? mac.slice() : new Uint8Array(0),
  };
}

/** Reads an entry of a list; undefined for one that is not permanent, or has no IPv4 remote. */
export function parseForwarding(
  payload: Uint8Array,
): ForwardingEntry | undefined {
  const { attributes, header } = splitPayload(payload, NDMSG_BYTES);
  const remote = attributes.get(NDA_DST);
  const mac = attributes.get(NDA_LLADDR);
  if (
    !isPermanent(header) || remote?.length !== 4 || mac?.length !== MAC_BYTES
  ) return undefined;
  return {
    interfaceIndex: header.getInt32(4, true),
    mac: mac.slice(),
    remote: ipv4FromBytes(remote),
  };
}

function isPermanent(header: DataView): boolean {
  return (header.getUint16(8, true) & NUD_PERMANENT) !== 0;
}
