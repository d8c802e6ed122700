/**
 * The chains of `nft -j list ruleset` for the evaluation.
 *
 * It knows the expressions of Docker's, flannel's and Loden's rules, and those
 * that are common on hosts (libnftables-json(5)). Any other condition may hold,
 * and any other statement may do anything.
 *
 * @module
 */

import { LodenError } from "../../../errors.ts";
import { type Cidr, contains } from "../../../net/cidr.ts";
import { type Ipv4, parseIpv4 } from "../../../net/ipv4.ts";
import type { BaseChain, ChainRule, RuleAction } from "./chains.ts";
import { isDevice } from "./device_pattern.ts";
import { protocolNumber } from "./protocols.ts";
import {
  allHold,
  anyHolds,
  type Holds,
  type Hook,
  negated,
  type PacketState,
  type TestPacket,
} from "./test_packet.ts";

type Json = Readonly<Record<string, unknown>>;
type Condition = (packet: TestPacket, state: PacketState) => Holds;

/** `nft -j` printed something else than a list of its objects. */
export class BadRulesetError extends LodenError {
  constructor(rule: string, cause?: unknown) {
    super("firewall.bad-ruleset", `Cannot read nft's rules: ${rule}`, {
      cause,
    });
  }
}

const HOOKS: ReadonlySet<unknown> = new Set<Hook>([
  "prerouting",
  "input",
  "forward",
  "output",
  "postrouting",
]);
const IPV4_FAMILIES: ReadonlySet<unknown> = new Set(["ip", "inet"]);

/**
 * @param isLeftOut tables that another tool has set, which prints more of them.
 * @throws {BadRulesetError}
 */
export function nftBaseChains(
  text: string,
  isLeftOut: (table: { family: string; name: string }) => boolean = () => false,
): BaseChain[] {
  const tables = new Map<string, TableParts>();
  const tableOf = ({ family, table }: Json) => {
    const key = `${family} ${table}`;
    const found = tables.get(key) ??
      { name: `nft ${key}`, chains: new Map(), sets: new Map(), base: [] };
    tables.set(key, found);
    return found;
  };
  for (const object of objectsOf(text)) {
    const [[kind, value] = []] = Object.entries(object);
    if (!isObject(value) || !IPV4_FAMILIES.has(value.family)) continue;
    const { family, table } = value;
    if (isLeftOut({ family: `${family}`, name: `${table}` })) continue;
    if (kind === "chain") addChain(tableOf(value), value);
    if (kind === "set" || kind === "map") {
      tableOf(value).sets.set(`@${value.name}`, listOf(value.elem));
    }
    if (kind === "rule") {
      const parts = tableOf(value);
      parts.chains.get(`${value.chain}`)?.push(...readRule(value, parts.sets));
    }
  }
  return [...tables.values()].flatMap((parts) =>
    parts.base.map((chain) => ({ ...chain, table: parts }))
  );
}

interface TableParts {
  readonly name: string;
  readonly chains: Map<string, ChainRule[]>;
  readonly sets: Map<string, readonly unknown[]>;
  readonly base: Omit<BaseChain, "table">[];
}

function objectsOf(text: string): Json[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new BadRulesetError("they must be JSON", cause);
  }
  const list = isObject(parsed) ? parsed.nftables : undefined;
  if (!Array.isArray(list)) {
    throw new BadRulesetError("they must have a list, nftables");
  }
  return list.filter(isObject);
}

function addChain({ base, chains }: TableParts, chain: Json): void {
  const name = `${chain.name}`;
  chains.set(name, []);
  if (!HOOKS.has(chain.hook) || typeof chain.prio !== "number") return;
  base.push({
    hook: chain.hook as Hook,
    priority: chain.prio,
    policy: chain.policy === "drop" ? "drop" : "accept",
    chain: name,
  });
}

/** A rule with a verdict map becomes several, one for each of its elements. */
function readRule(
  { comment, expr, handle }: Json,
  sets: TableParts["sets"],
): ChainRule[] {
  const conditions: Condition[] = [];
  const text = `rule handle ${handle}` +
    (comment === undefined ? "" : ` "${comment}"`);
  const rules: ChainRule[] = [];
  const add = (action: RuleAction, more: readonly Condition[] = []) => {
    const all = [...conditions, ...more];
    rules.push({
      text,
      matches: (packet, state) =>
        allHold(all.map((condition) => condition(packet, state))),
      action,
    });
  };
  for (const statement of listOf(expr)) {
    const [[kind, value] = []] = Object.entries(
      isObject(statement) ? statement : {},
    );
    if (kind === "match") conditions.push(readMatch(value, sets));
    else if (kind === "vmap") {
      const { data, key } = isObject(value) ? value : {};
      const elements = elementsOf(data, sets);
      for (const element of elements ?? []) {
        const [wanted, verdict] = listOf(element);
        add(readVerdict(verdict), [compare(key, wanted, sets)]);
      }
      if (elements === undefined) add({ kind: "unknown" });
    } else if (isNarrowing(kind)) conditions.push(() => undefined);
    else {
      const action = readStatement(kind, value);
      if (action.kind !== "continue") add(action);
      // It may be a condition.
      if (action.kind === "unknown") conditions.push(() => undefined);
    }
  }
  return rules;
}

/** Statements that a packet may not get past. */
function isNarrowing(kind: string | undefined): boolean {
  return kind === "limit" || kind === "quota" || kind === "ct count" ||
    kind === "last";
}

/** They decide nothing, and change nothing that decides here. */
const HARMLESS: ReadonlySet<string | undefined> = new Set([
  "counter",
  "log",
  "continue",
  "set",
  "flow",
  "ct helper",
  "ct timeout",
  "secmark",
]);

function readStatement(kind: string | undefined, value: unknown): RuleAction {
  if (HARMLESS.has(kind)) return { kind: "continue" };
  // Behind the route, so that the way stays the same.
  if (kind === "masquerade" || kind === "snat") return { kind: "accept" };
  if (kind === "notrack") return { kind: "untrack" };
  if (kind === "mangle") return readMangle(value);
  return readVerdict({ [kind ?? ""]: value });
}

function readVerdict(verdict: unknown): RuleAction {
  const [[kind, value] = []] = Object.entries(isObject(verdict) ? verdict : {});
  switch (kind) {
    case "accept":
    case "drop":
    case "return":
    case "continue":
      return { kind };
    case "reject":
      return { kind: "drop" };
    case "jump":
    case "goto":
      return isObject(value) && typeof value.target === "string"
        ? { kind, chain: value.target }
        : { kind: "unknown" };
    default:
      return { kind: "unknown" };
  }
}

/** `meta mark set meta mark | 0x10`, and what else changes no mark. */
function readMangle(value: unknown): RuleAction {
  if (!isObject(value)) return { kind: "unknown" };
  const key = metaKey(value.key);
  if (key !== "mark") {
    return key === undefined && isObject(value.key) && "payload" in value.key
      ? { kind: "unknown" }
      : { kind: "continue" };
  }
  if (typeof value.value === "number") {
    return { kind: "mark", value: value.value, mask: 0xffffffff };
  }
  // The mark of a new connection.
  if (isObject(value.value) && isObject(value.value.ct)) {
    return { kind: "mark", value: 0, mask: 0xffffffff };
  }
  const bits = isObject(value.value) ? listOf(value.value["|"]) : [];
  const [left, right] = bits;
  return metaKey(left) === "mark" && typeof right === "number"
    ? { kind: "mark", value: right, mask: right }
    : { kind: "unknown" };
}

function metaKey(expression: unknown): string | undefined {
  const meta = isObject(expression) ? expression.meta : undefined;
  return isObject(meta) && typeof meta.key === "string" ? meta.key : undefined;
}

function readMatch(match: unknown, sets: TableParts["sets"]): Condition {
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
function compare(
  left: unknown,
  right: unknown,
  sets: TableParts["sets"],
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
function elementsOf(
  value: unknown,
  sets: TableParts["sets"],
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

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
