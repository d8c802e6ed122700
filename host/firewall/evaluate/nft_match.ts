/**
 * The conditions of nft's rules (libnftables-json(5)).
 *
 * It knows the expressions of Docker's, flannel's and Loden's rules, and those
 * that are common on hosts. Any other condition may hold.
 *
 * @module
 */

import { type Cidr, contains } from "../../../net/cidr.ts";
import { type Ipv4, parseIpv4 } from "../../../net/ipv4.ts";
import { isDevice } from "./device_pattern.ts";
import {
  isObject,
  type Json,
  listOf,
  metaKey,
  type NftSets,
} from "./nft_json.ts";
import { protocolNumber } from "./protocols.ts";
import {
  allHold,
  anyHolds,
  type Holds,
  negated,
  type PacketState,
  type TestPacket,
} from "./test_packet.ts";

/** Whether a packet matches. */
export type Condition = (packet: TestPacket, state: PacketState) => Holds;

/** A `match` statement. */
export function readMatch(match: unknown, sets: NftSets): Condition {
  if (!isObject(match)) return () => undefined;
  const { left, op, right } = match;
  const condition = compare(left, right, sets, `${op}`);
  return op === "!="
    ? (packet, state) =>
      hasField(left, packet) ? negated(condition(packet, state)) : false
    : condition;
}

/**
 * Whether a packet has what is compared. A rule about a field of another protocol
 * does not match, whatever it compares: `tcp dport != 22` is about TCP.
 */
function hasField(left: unknown, packet: TestPacket): boolean {
  if (!isObject(left)) return true;
  if (isObject(left.payload)) {
    return isOfProtocol(packet, `${left.payload.protocol}`);
  }
  if ("tcp option" in left) return isOfProtocol(packet, "tcp");
  // Of IPv6.
  if ("exthdr" in left) return false;
  const parts = [...listOf(left["&"]), ...listOf(left.concat)];
  return parts.every((part) => hasField(part, packet));
}

function isOfProtocol({ protocol }: TestPacket, name: string): boolean {
  if (name === "ip6" || name === "icmpv6") return false;
  return isProtocol(protocol, name) !== false;
}

/** What can be compared with values: an address, a name, a number. */
type Compare = (
  packet: TestPacket,
  state: PacketState,
  value: unknown,
) => Holds;

/** Whether `left` is `right`, or one of its elements. */
export function compare(
  left: unknown,
  right: unknown,
  sets: NftSets,
  op = "==",
): Condition {
  const is = readLeft(left);
  const isEquality = op === "==" || op === "!=" || op === "in";
  const values = elementsOf(right, sets);
  if (is === undefined || !isEquality || values === undefined) {
    return (packet) => hasField(left, packet) ? undefined : false;
  }
  return (packet, state) =>
    hasField(left, packet)
      ? anyHolds(values.map((value) => is(packet, state, unwrapped(value))))
      : false;
}

/** The elements of a set, a list or a single value; `undefined`: no such set. */
export function elementsOf(
  value: unknown,
  sets: NftSets,
): readonly unknown[] | undefined {
  if (typeof value === "string" && value.startsWith("@")) {
    return sets.get(value);
  }
  if (Array.isArray(value)) return value;
  if (isObject(value) && Array.isArray(value.set)) return value.set;
  return [value];
}

/** An element with a counter, a comment or a timeout. */
function unwrapped(value: unknown): unknown {
  const element = isObject(value) ? value.elem : undefined;
  return isObject(element) ? element.val : value;
}

function readLeft(left: unknown): Compare | undefined {
  if (!isObject(left)) return undefined;
  if (isObject(left.meta)) return readMeta(`${left.meta.key}`);
  if (isObject(left.payload)) {
    return readPayload(`${left.payload.protocol}`, `${left.payload.field}`);
  }
  if (isObject(left.ct)) return readConnection(`${left.ct.key}`);
  if (isObject(left.fib)) return readFib(left.fib);
  const [masked, mask] = listOf(left["&"]);
  if (metaKey(masked) === "mark" && typeof mask === "number") {
    return (_packet, { mark }, value) =>
      mark === undefined || typeof value !== "number"
        ? undefined
        : ((mark & mask) >>> 0) === value;
  }
  if (Array.isArray(left.concat)) return readConcat(left.concat);
  return undefined;
}

function readMeta(key: string): Compare | undefined {
  switch (key) {
    case "iifname":
    case "iif":
      return (packet, _state, value) =>
        typeof value === "string"
          ? isDevice(packet, "input", packet.arrivesOn, value)
          : undefined;
    case "oifname":
    case "oif":
      return (packet, _state, value) =>
        typeof value === "string"
          ? isDevice(packet, "output", packet.leavesBy, value)
          : undefined;
    case "l4proto":
      return ({ protocol }, _state, value) => isProtocol(protocol, value);
    case "nfproto":
      return (_packet, _state, value) => value === "ipv4";
    case "protocol":
      return (_packet, _state, value) => value === "ip";
    case "length":
      return ({ sizeBytes }, _state, value) => isNumber(sizeBytes, value);
    case "mark":
      return (_packet, { mark }, value) =>
        mark === undefined ? undefined : isNumber(mark, value);
    default:
      return undefined;
  }
}

function readPayload(protocol: string, field: string): Compare | undefined {
  if (protocol === "ip") {
    if (field === "saddr") {
      return ({ source }, _state, value) => isAddress(source, value);
    }
    if (field === "daddr") {
      return ({ destination }, _state, value) => isAddress(destination, value);
    }
    if (field === "protocol") {
      return (packet, _state, value) => isProtocol(packet.protocol, value);
    }
  }
  if (field === "dport") {
    return ({ port }, _state, value) =>
      port === undefined ? undefined : isNumber(port, value);
  }
  // Of ICMP, the packet is an echo request.
  return protocol === "icmp" && field === "type"
    ? (_packet, _state, value) => value === "echo-request" || value === 8
    : undefined;
}

function readConnection(key: string): Compare | undefined {
  if (key === "state") {
    return (_packet, { connection }, value) =>
      connection === undefined ? undefined : value === connection;
  }
  // A new connection has no mark yet.
  if (key === "mark") return (_packet, _state, value) => isNumber(0, value);
  return undefined;
}

/** `fib saddr . iif oif missing`, `fib daddr type local`. */
function readFib({ flags, result }: Json): Compare | undefined {
  const of = listOf(flags).length > 0 ? listOf(flags) : [flags];
  const about = of.map(String).sort().join();
  if (result === "type" && (about === "daddr" || about === "saddr")) {
    return ({ destination, isLocal, source }, _state, value) =>
      value === "local"
        ? isLocal(about === "daddr" ? destination : source)
        : undefined;
  }
  if (result === "oif" && about === "iif,saddr") {
    return ({ isSourceRouted }, _state, value) =>
      value === false ? negated(isSourceRouted) : undefined;
  }
  return undefined;
}

/** Elements are lists of as many parts. */
function readConcat(parts: readonly unknown[]): Compare | undefined {
  const compares = parts.map(readLeft);
  return (packet, state, value) => {
    const values = isObject(value) ? listOf(value.concat) : [];
    if (values.length !== compares.length) return undefined;
    return allHold(
      compares.map((each, index) => each?.(packet, state, values[index])),
    );
  };
}

function isAddress(address: Ipv4, value: unknown): Holds {
  if (typeof value === "string") {
    const one = parseIpv4(value);
    return one === undefined ? undefined : one === address;
  }
  if (!isObject(value)) return undefined;
  const cidr = prefixOf(value.prefix);
  if (cidr !== undefined) return contains(cidr, address);
  const [from, to] = listOf(value.range).map((each) => parseIpv4(`${each}`));
  return from === undefined || to === undefined
    ? undefined
    : address >= from && address <= to;
}

function prefixOf(prefix: unknown): Cidr | undefined {
  if (!isObject(prefix) || typeof prefix.len !== "number") return undefined;
  const address = parseIpv4(`${prefix.addr}`);
  return address === undefined
    ? undefined
    : { address, prefixLength: prefix.len };
}

function isProtocol(protocol: number, value: unknown): Holds {
  const number = typeof value === "string" ? protocolNumber(value) : value;
  return typeof number === "number" ? protocol === number : undefined;
}

function isNumber(number: number, value: unknown): Holds {
  if (typeof value === "number") return number === value;
  const [from, to] = listOf(isObject(value) ? value.range : undefined);
  return typeof from === "number" && typeof to === "number"
    ? number >= from && number <= to
    : undefined;
}
