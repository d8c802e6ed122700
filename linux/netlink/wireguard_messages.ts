/**
 * Messages about WireGuard devices: `WG_CMD_*` and `WG*_A_*`.
 *
 * A device with many peers does not fit a message. Each message that changes it
 * is complete by itself; a list of what it has goes on in the next message, which
 * may repeat the last peer.
 *
 * Source: `linux/wireguard.h`, `drivers/net/wireguard/netlink.c`.
 *
 * @module
 */

import type { Cidr } from "../../net/cidr.ts";
import { ipv4FromBytes, ipv4ToBytes } from "../../net/ipv4.ts";
import {
  aligned,
  type Attribute,
  decodeAttributeList,
  decodeAttributes,
  nestedAttribute,
  readU16,
  u16Attribute,
  u32Attribute,
  u8Attribute,
} from "./codec.ts";
import { genericRequest, parseGeneric } from "./generic_netlink.ts";
import type { NetlinkRequest } from "./request.ts";
import type {
  WireguardChange,
  WireguardDevice,
  WireguardEndpoint,
  WireguardPeer,
  WireguardPeerChange,
} from "./wireguard.ts";

/** The family's name. */
export const WIREGUARD_FAMILY = "wireguard";
const WIREGUARD_VERSION = 1;
const WG_CMD_GET_DEVICE = 0;
const WG_CMD_SET_DEVICE = 1;

const WGDEVICE_A = {
  IFINDEX: 1,
  PRIVATE_KEY: 3,
  PUBLIC_KEY: 4,
  LISTEN_PORT: 6,
  PEERS: 8,
} as const;

const WGPEER_A = {
  PUBLIC_KEY: 1,
  PRESHARED_KEY: 2,
  FLAGS: 3,
  ENDPOINT: 4,
  PERSISTENT_KEEPALIVE_INTERVAL: 5,
  LAST_HANDSHAKE_TIME: 6,
  RX_BYTES: 7,
  TX_BYTES: 8,
  ALLOWEDIPS: 9,
} as const;

const WGALLOWEDIP_A = { FAMILY: 1, IPADDR: 2, CIDR_MASK: 3 } as const;

const WGPEER_F_REMOVE_ME = 1;
const WGPEER_F_REPLACE_ALLOWEDIPS = 2;

const AF_INET = 2;
/** struct sockaddr_in: family (u16), port (u16 be), address, 8 bytes of zeros. */
const SOCKADDR_IN_BYTES = 16;

/** Elements of lists have no type of their own. */
const ELEMENT = 0;
const ATTRIBUTE_HEADER_BYTES = 4;
/** A list is an attribute, which has less than 64 KiB. */
const LONGEST_LIST_BYTES = 32 * 1024;

/** Asks for a device with all its peers. */
export function getDeviceRequest(
  family: number,
  interfaceIndex: number,
): NetlinkRequest {
  return genericRequest(
    { family, command: WG_CMD_GET_DEVICE, version: WIREGUARD_VERSION },
    [u32Attribute(WGDEVICE_A.IFINDEX, interfaceIndex)],
  );
}

/** Asks for changes, in as many messages as they need, in their order. */
export function setDeviceRequests(
  family: number,
  interfaceIndex: number,
  change: WireguardChange,
): NetlinkRequest[] {
  const { listenPort, privateKey, putPeers = [], removePeers = [] } = change;
  const peers = [
    ...removePeers.map(removal),
    ...putPeers.flatMap(encodePeer),
  ];
  const lists = inLists(peers);
  if (lists.length === 0) lists.push([]);
  return lists.map((list, number) => {
    const attributes = [u32Attribute(WGDEVICE_A.IFINDEX, interfaceIndex)];
    if (number === 0 && privateKey !== undefined) {
      attributes.push({ type: WGDEVICE_A.PRIVATE_KEY, value: privateKey });
    }
    if (number === 0 && listenPort !== undefined) {
      attributes.push(u16Attribute(WGDEVICE_A.LISTEN_PORT, listenPort));
    }
    if (list.length > 0) {
      attributes.push(nestedAttribute(WGDEVICE_A.PEERS, list));
    }
    return genericRequest(
      { family, command: WG_CMD_SET_DEVICE, version: WIREGUARD_VERSION },
      attributes,
    );
  });
}

/** Reads the answers to {@linkcode getDeviceRequest}. */
export function parseDevice(payloads: readonly Uint8Array[]): WireguardDevice {
  let publicKey: string | undefined;
  let listenPort = 0;
  const peers: WireguardPeer[] = [];
  for (const payload of payloads) {
    const attributes = parseGeneric(payload);
    const key = attributes.get(WGDEVICE_A.PUBLIC_KEY);
    if (key !== undefined) publicKey = key.toBase64();
    const port = attributes.get(WGDEVICE_A.LISTEN_PORT);
    if (port !== undefined) listenPort = readU16(port);
    const list = attributes.get(WGDEVICE_A.PEERS) ?? new Uint8Array(0);
    for (const { value } of decodeAttributeList(list)) {
      const peer = parsePeer(value);
      const last = peers.at(-1);
      if (last?.publicKey === peer.publicKey) {
        peers[peers.length - 1] = joined(last, peer);
      } else {
        peers.push(peer);
      }
    }
  }
  return { publicKey, listenPort, peers };
}

function removal(publicKey: string): Attribute {
  return nestedAttribute(ELEMENT, [
    keyAttribute(publicKey),
    u32Attribute(WGPEER_A.FLAGS, WGPEER_F_REMOVE_ME),
  ]);
}

/** One element, or several where a peer has thousands of allowed addresses. */
function encodePeer(peer: WireguardPeerChange): Attribute[] {
  const { allowedIps, endpoint, keepaliveSeconds, presharedKey } = peer;
  const attributes = [keyAttribute(peer.publicKey)];
  if (presharedKey !== undefined) {
    attributes.push({ type: WGPEER_A.PRESHARED_KEY, value: presharedKey });
  }
  if (allowedIps !== undefined) {
    attributes.push(
      u32Attribute(WGPEER_A.FLAGS, WGPEER_F_REPLACE_ALLOWEDIPS),
    );
  }
  if (endpoint !== undefined) {
    attributes.push({
      type: WGPEER_A.ENDPOINT,
      value: encodeEndpoint(endpoint),
    });
  }
  if (keepaliveSeconds !== undefined) {
    attributes.push(
      u16Attribute(WGPEER_A.PERSISTENT_KEEPALIVE_INTERVAL, keepaliveSeconds),
    );
  }
  const [first = [], ...further] = inLists(
    (allowedIps ?? []).map(encodeAllowedIp),
  );
  if (first.length > 0) {
    attributes.push(nestedAttribute(WGPEER_A.ALLOWEDIPS, first));
  }
  return [
    nestedAttribute(ELEMENT, attributes),
    ...further.map((list) =>
      nestedAttribute(ELEMENT, [
        keyAttribute(peer.publicKey),
        nestedAttribute(WGPEER_A.ALLOWEDIPS, list),
      ])
    ),
  ];
}

/** Cut so that each list fits an attribute; one element always does. */
function inLists(elements: readonly Attribute[]): Attribute[][] {
  const lists: Attribute[][] = [];
  let room = 0;
  for (const element of elements) {
    const bytes = aligned(ATTRIBUTE_HEADER_BYTES + element.value.length);
    if (bytes > room) {
      lists.push([]);
      room = LONGEST_LIST_BYTES;
    }
    lists.at(-1)!.push(element);
    room -= bytes;
  }
  return lists;
}

function keyAttribute(publicKey: string): Attribute {
  return {
    type: WGPEER_A.PUBLIC_KEY,
    value: Uint8Array.fromBase64(publicKey),
  };
}

function encodeEndpoint({ address, port }: WireguardEndpoint): Uint8Array {
  const bytes = new Uint8Array(SOCKADDR_IN_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  bytes.set(ipv4ToBytes(address), 4);
  return bytes;
}

function encodeAllowedIp({ address, prefixLength }: Cidr): Attribute {
  return nestedAttribute(ELEMENT, [
    u16Attribute(WGALLOWEDIP_A.FAMILY, AF_INET),
    { type: WGALLOWEDIP_A.IPADDR, value: ipv4ToBytes(address) },
    u8Attribute(WGALLOWEDIP_A.CIDR_MASK, prefixLength),
  ]);
}

function parsePeer(bytes: Uint8Array): WireguardPeer {
  const attributes = decodeAttributes(bytes);
  const presharedKey = attributes.get(WGPEER_A.PRESHARED_KEY);
  const keepalive = attributes.get(WGPEER_A.PERSISTENT_KEEPALIVE_INTERVAL);
  const allowedIps: Cidr[] = [];
  let allowedIpv6 = 0;
  const list = attributes.get(WGPEER_A.ALLOWEDIPS) ?? new Uint8Array(0);
  for (const { value } of decodeAttributeList(list)) {
    const parts = decodeAttributes(value);
    const address = parts.get(WGALLOWEDIP_A.IPADDR);
    const prefixLength = parts.get(WGALLOWEDIP_A.CIDR_MASK)?.[0];
    if (address?.length !== 4 || prefixLength === undefined) allowedIpv6++;
    else allowedIps.push({ address: ipv4FromBytes(address), prefixLength });
  }
  return {
    publicKey: (attributes.get(WGPEER_A.PUBLIC_KEY) ?? new Uint8Array(0))
      .toBase64(),
    presharedKey: presharedKey?.some((byte) => byte !== 0)
      ? presharedKey.slice()
      : undefined,
    endpoint: parseEndpoint(attributes.get(WGPEER_A.ENDPOINT)),
    keepaliveSeconds: keepalive === undefined ? 0 : readU16(keepalive),
    allowedIps,
    allowedIpv6,
    lastHandshakeMs: parseTime(attributes.get(WGPEER_A.LAST_HANDSHAKE_TIME)),
    rxBytes: counter(attributes.get(WGPEER_A.RX_BYTES)),
    txBytes: counter(attributes.get(WGPEER_A.TX_BYTES)),
  };
}

/** What a message says about a peer that the message before it has begun. */
function joined(first: WireguardPeer, next: WireguardPeer): WireguardPeer {
  return {
    ...first,
    allowedIps: [...first.allowedIps, ...next.allowedIps],
    allowedIpv6: first.allowedIpv6 + next.allowedIpv6,
  };
}

function parseEndpoint(
  bytes: Uint8Array | undefined,
): WireguardEndpoint | undefined {
  if (bytes?.length !== SOCKADDR_IN_BYTES) return undefined;
  const view = viewOf(bytes);
  return { port: view.getUint16(2), address: ipv4FromBytes(bytes, 4) };
}

/** struct __kernel_timespec: seconds and nanoseconds (i64 each). */
function parseTime(bytes: Uint8Array | undefined): number {
  if (bytes === undefined || bytes.length < 16) return 0;
  const view = viewOf(bytes);
  const seconds = Number(view.getBigInt64(0, true));
  return seconds * 1_000 + Number(view.getBigInt64(8, true)) / 1e6;
}

/** A 64-bit counter; exact up to 2^53. */
function counter(bytes: Uint8Array | undefined): number {
  if (bytes === undefined || bytes.length < 8) return 0;
  return Number(viewOf(bytes).getBigUint64(0, true));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
