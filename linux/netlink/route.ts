/**
 * Messages about IPv4 routes (`RTM_*ROUTE`): `struct rtmsg` and `RTA_*`
 * attributes.
 *
 * Source: `linux/rtnetlink.h`.
 *
 * @module
 */

import { cidrOf, equalCidr } from "../../net/cidr.ts";
import {
  type Ipv4,
  ipv4FromBytes,
  ipv4ToBytes,
  toIpv4,
} from "../../net/ipv4.ts";
import {
  type Attribute,
  decodeAttributes,
  joinPayload,
  nestedAttribute,
  readU32,
  REQUEST_FLAG,
  scanAttributes,
  splitPayload,
  u32Attribute,
  viewOf,
} from "./codec.ts";
import { BadNetlinkMessageError } from "./errors.ts";
import { AF_INET, type NetlinkRequest } from "./request.ts";
import type {
  NewRoute,
  Route,
  RouteAnswer,
  RouteQuery,
  RouteScope,
} from "./rtnetlink.ts";

const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;

/**
 * family, destination length, source length, tos, table, protocol, scope, type
 * (u8 each), flags (u32).
 */
const RTMSG_BYTES = 12;

const RTNEXTHOP_BYTES = 8;

const RTA_DST = 1;
const RTA_SRC = 2;
const RTA_IIF = 3;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_METRICS = 8;
const RTA_MULTIPATH = 9;
const RTA_CACHEINFO = 12;
const RTA_TABLE = 15;
const RTA_MARK = 16;
const RTAX_MTU = 2;

/** RTM_F_FIB_MATCH: the answer is the route itself, not what it leads to. */
export const FIB_MATCH = 0x2000;

/** Who installs a route: RTPROT_BOOT, as flannel's and `ip route`'s. */
export const RTPROT_BOOT = 3;
const RTNH_F_ONLINK = 4;

/** RT_TABLE_MAIN. */
export const MAIN_TABLE = 254;
/** RT_TABLE_LOCAL: the host's own addresses. */
export const LOCAL_TABLE = 255;

const ROUTE_TYPES = {
  unicast: 1,
  local: 2,
  blackhole: 6,
  unreachable: 7,
} as const;
const ROUTE_TYPE_NAMES = namesByNumber(ROUTE_TYPES);

interface RouteHeader {
  readonly destinationLength: number;
  readonly sourceLength?: number;
  readonly table: number;
  readonly protocol: number;
  readonly scope: RouteScope;
  readonly type: number;
  readonly flags: number;
}

function encodeHeader(fields: RouteHeader): Uint8Array {
  const header = new Uint8Array(RTMSG_BYTES);
  header[0] = AF_INET;
  header[1] = fields.destinationLength;
  header[2] = fields.sourceLength ?? 0;
  header[4] = fields.table;
  header[5] = fields.protocol;
  header[6] = scopeNumber(fields.scope);
  header[7] = fields.type;
  new DataView(header.buffer).setUint32(8, fields.flags, true);
  return header;
}

const NO_HEADER: RouteHeader = {
  destinationLength: 0,
  table: 0,
  protocol: 0,
  scope: "global",
  type: 0,
  flags: 0,
};

/** Asks for every IPv4 route of every table. */
export function listRoutesRequest(): NetlinkRequest {
  return { type: RTM_GETROUTE, flags: 0, payload: encodeHeader(NO_HEADER) };
}

/** Asks how a packet to `destination` would leave. */
export function routeToRequest(
  destination: Ipv4,
  query: RouteQuery = {},
  flags = 0,
): NetlinkRequest {
  const attributes: Attribute[] = [
    { type: RTA_DST, value: ipv4ToBytes(destination) },
  ];
  if (query.interfaceIndex !== undefined) {
    attributes.push(u32Attribute(RTA_OIF, query.interfaceIndex));
  }
  if (query.mark !== undefined) {
    attributes.push(u32Attribute(RTA_MARK, query.mark));
  }
  const { source } = query;
  if (source !== undefined) {
    attributes.push({ type: RTA_SRC, value: ipv4ToBytes(source) });
  }
  if (query.arrivesByIndex !== undefined) {
    attributes.push(u32Attribute(RTA_IIF, query.arrivesByIndex));
  }
  return {
    type: RTM_GETROUTE,
    flags: 0,
    payload: joinPayload(
      encodeHeader({
        ...NO_HEADER,
        destinationLength: 32,
        sourceLength: source === undefined ? 0 : 32,
        flags,
      }),
      attributes,
    ),
  };
}

/**
 * Asks for a route of the main table. An equal destination and metric is
 * replaced.
 */
export function putRouteRequest(route: NewRoute): NetlinkRequest {
  return {
    type: RTM_NEWROUTE,
    flags: REQUEST_FLAG.CREATE | REQUEST_FLAG.REPLACE,
    payload: routePayload(
      route,
      route.protocol ?? RTPROT_BOOT,
      route.scope ?? "global",
    ),
  };
}

/**
 * Asks for the end of a route of the main table. Absent attributes match any
 * value. This includes a metric of 0: the kernel cannot express "metric 0".
 */
export function deleteRouteRequest(route: NewRoute): NetlinkRequest {
  return {
    type: RTM_DELROUTE,
    flags: 0,
    // In a removal RT_SCOPE_NOWHERE and protocol 0 match any.
    payload: routePayload(route, 0, route.scope ?? "nowhere"),
  };
}

function routePayload(
  route: NewRoute,
  protocol: number,
  scope: RouteScope,
): Uint8Array {
  const attributes: Attribute[] = [
    { type: RTA_DST, value: ipv4ToBytes(route.destination.address) },
  ];
  if (route.interfaceIndex !== undefined) {
    attributes.push(u32Attribute(RTA_OIF, route.interfaceIndex));
  }
  if (route.gateway !== undefined) {
    attributes.push({ type: RTA_GATEWAY, value: ipv4ToBytes(route.gateway) });
  }
  if (route.preferredSource !== undefined) {
    attributes.push({
      type: RTA_PREFSRC,
      value: ipv4ToBytes(route.preferredSource),
    });
  }
  if (route.metric !== undefined) {
    attributes.push(u32Attribute(RTA_PRIORITY, route.metric));
  }
  if (route.mtuBytes !== undefined) {
    attributes.push(
      nestedAttribute(RTA_METRICS, [u32Attribute(RTAX_MTU, route.mtuBytes)]),
    );
  }
  const header = encodeHeader({
    destinationLength: route.destination.prefixLength,
    table: MAIN_TABLE,
    protocol,
    scope,
    type: ROUTE_TYPES[route.type ?? "unicast"],
    flags: route.onlink ? RTNH_F_ONLINK : 0,
  });
  return joinPayload(header, attributes);
}

/** Reads the payload of an `RTM_NEWROUTE` that a list holds. */
export function parseRoute(payload: Uint8Array): Route {
  if (payload.length < RTMSG_BYTES) {
    throw new BadNetlinkMessageError(
      `its payload must have ${RTMSG_BYTES} bytes or more`,
      payload.length,
    );
  }
  const view = viewOf(payload);
  const u32 = (at: number, length: number) => {
    if (length >= 4) return view.getUint32(at, true);
    throw new BadNetlinkMessageError(
      "a 32-bit attribute must have 4 bytes",
      length,
    );
  };
  const ipv4 = (at: number, length: number) =>
    length === 4 ? view.getUint32(at) as Ipv4 : undefined;
  const found: {
    destination?: Ipv4 | undefined;
    gateway?: Ipv4 | undefined;
    preferredSource?: Ipv4 | undefined;
    interfaceIndex?: number;
    table?: number;
    metric?: number;
    mtuBytes?: number | undefined;
    multipath?: Uint8Array;
  } = {};
  scanAttributes(view, RTMSG_BYTES, (type, at, length) => {
    switch (type) {
      case RTA_DST:
        found.destination = ipv4(at, length);
        break;
      case RTA_GATEWAY:
        found.gateway = ipv4(at, length);
        break;
      case RTA_PREFSRC:
        found.preferredSource = ipv4(at, length);
        break;
      case RTA_OIF:
        found.interfaceIndex = u32(at, length);
        break;
      case RTA_TABLE:
        found.table = u32(at, length);
        break;
      case RTA_PRIORITY:
        found.metric = u32(at, length);
        break;
      case RTA_METRICS:
        found.mtuBytes = mtuOf(payload.subarray(at, at + length));
        break;
      case RTA_MULTIPATH:
        found.multipath = payload.subarray(at, at + length);
        break;
    }
  });
  return {
    destination: cidrOf(found.destination ?? toIpv4(0), view.getUint8(1)),
    type: routeType(view.getUint8(7)),
    // The header has 8 bits for the table; the attribute has them all.
    table: found.table ?? view.getUint8(4),
    interfaceIndex: found.interfaceIndex,
    gateway: found.gateway,
    preferredSource: found.preferredSource,
    metric: found.metric ?? 0,
    scope: scopeOf(view.getUint8(6)),
    protocol: view.getUint8(5),
    mtuBytes: found.mtuBytes,
    ...nextHops(found.multipath),
  };
}

/** Each is a `struct rtnexthop`: length (u16), flags, hops (u8), device (i32). */
function nextHops(
  value: Uint8Array | undefined,
): Pick<Route, "multipath" | "nextHopDevices"> {
  if (value === undefined) return { multipath: false };
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const devices: number[] = [];
  for (let at = 0; at + RTNEXTHOP_BYTES <= view.byteLength;) {
    const length = view.getUint16(at, true);
    devices.push(view.getInt32(at + 4, true));
    if (length < RTNEXTHOP_BYTES) break;
    at += (length + 3) & ~3;
  }
  return { multipath: true, nextHopDevices: devices };
}

/** Reads the payload of the `RTM_NEWROUTE` that answers a look-up. */
export function parseRouteAnswer(payload: Uint8Array): RouteAnswer {
  const { attributes, header } = splitPayload(payload, RTMSG_BYTES);
  return {
    ...routeType(header.getUint8(7)) === "local" && { isLocal: true },
    interfaceIndex: numberOf(attributes.get(RTA_OIF)) ?? 0,
    gateway: ipv4Of(attributes.get(RTA_GATEWAY)),
    source: ipv4Of(attributes.get(RTA_PREFSRC)),
    mtuBytes: mtuOf(attributes.get(RTA_METRICS)),
    ...isExpiring(attributes.get(RTA_CACHEINFO)) && { isLearned: true },
  };
}

/** The third field of `struct rta_cacheinfo`: when it is forgotten; 0: never. */
function isExpiring(value: Uint8Array | undefined): boolean {
  return value !== undefined && value.length >= 12 &&
    readU32(value.subarray(8, 12)) !== 0;
}

function routeType(number: number): Route["type"] {
  return ROUTE_TYPE_NAMES.get(number) ?? "other";
}

function mtuOf(metrics: Uint8Array | undefined): number | undefined {
  return metrics && numberOf(decodeAttributes(metrics).get(RTAX_MTU));
}

function numberOf(value: Uint8Array | undefined): number | undefined {
  return value && readU32(value);
}

function ipv4Of(value: Uint8Array | undefined): Ipv4 | undefined {
  return value?.length === 4 ? ipv4FromBytes(value) : undefined;
}

/**
 * Whether `route` is `wanted`: destination, metric and type are the identity in
 * the main table; of the rest only what `wanted` names is compared.
 */
export function isSameRoute(route: Route, wanted: NewRoute): boolean {
  const matches = <T>(value: T, wish: T | undefined) =>
    wish === undefined || wish === value;
  return route.table === MAIN_TABLE &&
    equalCidr(route.destination, wanted.destination) &&
    route.metric === (wanted.metric ?? 0) &&
    route.type === (wanted.type ?? "unicast") &&
    matches(route.interfaceIndex, wanted.interfaceIndex) &&
    matches(route.gateway, wanted.gateway) &&
    matches(route.preferredSource, wanted.preferredSource) &&
    matches(route.scope, wanted.scope) &&
    matches(route.mtuBytes, wanted.mtuBytes);
}

const NUMBERS = {
  global: 0,
  site: 200,
  link: 253,
  host: 254,
  nowhere: 255,
} as const;

/** The kernel's number of a scope. */
export function scopeNumber(scope: RouteScope): number {
  return typeof scope === "number" ? scope : NUMBERS[scope];
}

const SCOPE_NAMES = namesByNumber(NUMBERS);

/** The scope of a number: its name where it has one. */
export function scopeOf(number: number): RouteScope {
  return SCOPE_NAMES.get(number) ?? number;
}

function namesByNumber<Name extends string>(
  numbers: Readonly<Record<Name, number>>,
): ReadonlyMap<number, Name> {
  return new Map(
    Object.entries<number>(numbers).map((
      [name, number],
    ) => [number, name as Name]),
  );
}
