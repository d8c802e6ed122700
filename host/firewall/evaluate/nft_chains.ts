/**
 * The chains of `nft -j list ruleset` for the evaluation.
 *
 * A condition that it does not know may hold (`nft_match.ts`), and a statement that
 * it does not know may do anything.
 *
 * @module
 */

import { LodenError } from "../../../errors.ts";
import type { BaseChain, ChainRule, RuleAction } from "./chains.ts";
import {
  isObject,
  type Json,
  listOf,
  metaKey,
  type NftSets,
} from "./nft_json.ts";
import { compare, type Condition, elementsOf, readMatch } from "./nft_match.ts";
import { allHold, type Hook } from "./test_packet.ts";

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
  sets: NftSets,
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
