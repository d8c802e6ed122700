/**
 * The chains of `iptables-save` for the evaluation.
 *
 * It knows the matches and targets of Docker's, flannel's and Loden's rules, and
 * those that are common on hosts. Any other match may hold, and any other target
 * may do anything.
 *
 * @module
 */

import { contains, parseCidr } from "../../../net/cidr.ts";
import type { Ipv4 } from "../../../net/ipv4.ts";
import type { BaseChain, ChainRule, ChainTable, RuleAction } from "./chains.ts";
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

type Condition = (packet: TestPacket, state: PacketState) => Holds;

/** Built-in chains; their names in lower case are the hooks. */
const BUILT_IN = /^(PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING)$/;
/** `include/uapi/linux/netfilter_ipv4.h`; nat: before and behind the route. */
const PRIORITIES: ReadonlyMap<string, number> = new Map([
  ["raw", -300],
  ["mangle", -150],
  ["filter", 0],
  ["security", 50],
]);
const NAT_PRIORITY = { destination: -100, source: 100 };

/** @param tool `iptables` or `iptables-legacy`, for people. */
export function iptablesBaseChains(text: string, tool: string): BaseChain[] {
  return [...tablesOf(text)].flatMap(([name, { chains, policies }]) => {
    const table: ChainTable = { name: `${tool} ${name}`, chains };
    return [...policies].flatMap(([chain, policy]): BaseChain[] => {
      const hook = chain.toLowerCase() as Hook;
      const priority = name === "nat"
        ? NAT_PRIORITY[
          hook === "prerouting" || hook === "output" ? "destination" : "source"
        ]
        : PRIORITIES.get(name);
      if (priority === undefined) return [];
      return [{ hook, priority, policy, table, chain }];
    });
  });
}

interface SavedTable {
  readonly chains: Map<string, ChainRule[]>;
  /** Of the built-in chains. */
  readonly policies: Map<string, "accept" | "drop">;
}

function tablesOf(text: string): Map<string, SavedTable> {
  const tables = new Map<string, SavedTable>();
  let table: SavedTable | undefined;
  for (const line of text.split("\n")) {
    if (line.startsWith("*")) {
      table = { chains: new Map(), policies: new Map() };
      tables.set(line.slice(1).trim(), table);
      continue;
    }
    const chain = /^:(\S+) (\S+)/.exec(line);
    const rule = /^-A (\S+) (.*\S)\s*$/.exec(line);
    if (chain !== null) {
      const [, name, policy] = chain;
      table?.chains.set(name!, []);
      if (!BUILT_IN.test(name!)) continue;
      table?.policies.set(name!, policy === "DROP" ? "drop" : "accept");
    } else if (rule !== null) {
      table?.chains.get(rule[1]!)?.push(parseRule(rule[2]!));
    }
  }
  return tables;
}

/** @param text the rule without `-A CHAIN`. */
function parseRule(text: string): ChainRule {
  const { conditions, action } = new RuleReader(wordsOf(text)).read();
  return {
    text,
    matches: (packet, state) =>
      allHold(conditions.map((condition) => condition(packet, state))),
    action,
  };
}

/** Splits at spaces outside quotes, as iptables-save quotes comments. */
function wordsOf(text: string): string[] {
  return [...text.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)]
    .map(([, quoted, plain]) => quoted ?? plain!);
}

const PERHAPS: Condition = () => undefined;
/** They only write down what passes, or change what decides nothing here. */
const HARMLESS =
  /^(LOG|NFLOG|ULOG|AUDIT|TRACE|CLASSIFY|TCPMSS|TOS|DSCP|TTL|CHECKSUM|TCPOPTSTRIP|SECMARK|CONNSECMARK)$/;
/** Their options are read, or say nothing. */
const KNOWN_MATCHES =
  /^(tcp|udp|icmp|comment|conntrack|state|mark|addrtype|multiport|rpfilter)$/;
/** Behind the route, so that the way stays the same. */
const REWRITES_SOURCE = /^(MASQUERADE|SNAT)$/;

class RuleReader {
  readonly #words: readonly string[];
  #at = 0;
  #module = "";
  readonly #conditions: Condition[] = [];
  #action: RuleAction = { kind: "continue" };

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  read(): { conditions: Condition[]; action: RuleAction } {
    while (this.#at < this.#words.length) this.#readOption();
    return { conditions: this.#conditions, action: this.#action };
  }

  #next(): string {
    return this.#words[this.#at++] ?? "";
  }

  #readOption(): void {
    const isNegated = this.#words[this.#at] === "!";
    if (isNegated) this.#at++;
    const option = this.#next();
    if (option === "-j" || option === "-g") {
      this.#readTarget(option === "-g");
      return;
    }
    const condition = this.#readMatch(option);
    if (condition === undefined) return;
    this.#conditions.push(
      isNegated ? (...all) => negated(condition(...all)) : condition,
    );
  }

  /** `undefined` for an option that says nothing. */
  #readMatch(option: string): Condition | undefined {
    switch (option) {
      case "-s":
        return addressMatch(this.#next(), ({ source }) => source);
      case "-d":
        return addressMatch(this.#next(), ({ destination }) => destination);
      case "-i":
        return deviceMatch(this.#next(), ({ arrivesOn }) => arrivesOn, "input");
      case "-o":
        return deviceMatch(this.#next(), ({ leavesBy }) => leavesBy, "output");
      case "-p":
        return protocolMatch(this.#next());
      case "-m": {
        const name = this.#next();
        this.#module = name;
        if (name === "rpfilter") return this.#reversePath();
        return KNOWN_MATCHES.test(name) ? undefined : PERHAPS;
      }
      case "--comment":
        this.#next();
        return undefined;
      case "--dport":
      case "--dports":
        return portMatch(this.#next());
      case "--icmp-type": {
        // The packet is an echo request.
        const type = this.#next();
        return () => type === "8" || type === "any";
      }
      case "--ctstate":
      case "--state":
        return connectionMatch(this.#next());
      case "--mark":
        return this.#module === "mark" ? markMatch(this.#next()) : PERHAPS;
      case "--dst-type":
        return localMatch(this.#next(), ({ destination }) => destination);
      case "--src-type":
        return localMatch(this.#next(), ({ source }) => source);
      default:
        this.#skipValues();
        return PERHAPS;
    }
  }

  /** Whether the route back to the source uses the arrival's device. */
  #reversePath(): Condition {
    let isInverted = false;
    for (; this.#words[this.#at]?.startsWith("--"); this.#at++) {
      const option = this.#words[this.#at];
      if (option === "--invert") isInverted = true;
      else if (option !== "--validmark") return PERHAPS;
    }
    return ({ isSourceRouted }) =>
      isInverted ? negated(isSourceRouted) : isSourceRouted;
  }

  #readTarget(isGoto: boolean): void {
    const target = this.#next();
    this.#action = isGoto
      ? { kind: "goto", chain: target }
      : this.#actionOf(target);
    // The rest of the line belongs to the target.
    this.#at = this.#words.length;
  }

  #actionOf(target: string): RuleAction {
    if (target === "ACCEPT") return { kind: "accept" };
    if (target === "DROP" || target === "REJECT") return { kind: "drop" };
    if (target === "RETURN") return { kind: "return" };
    if (target === "MARK") return this.#markAction();
    if (target === "CT") {
      return this.#words[this.#at] === "--notrack"
        ? { kind: "untrack" }
        : { kind: "continue" };
    }
    if (target === "NOTRACK") return { kind: "untrack" };
    if (target === "CONNMARK") {
      return this.#words[this.#at] === "--restore-mark"
        ? this.#restoredMark()
        : { kind: "continue" };
    }
    if (REWRITES_SOURCE.test(target)) return { kind: "accept" };
    if (HARMLESS.test(target)) return { kind: "continue" };
    // Of a target that is no chain nothing is known.
    return { kind: "jump", chain: target };
  }

  /** That of a new connection is 0. */
  #restoredMark(): RuleAction {
    const at = this.#words.indexOf("--nfmask", this.#at);
    const mask = at < 0 ? 0xffffffff : wholeNumber(this.#words[at + 1]);
    return mask === undefined
      ? { kind: "unknown" }
      : { kind: "mark", value: 0, mask };
  }

  #markAction(): RuleAction {
    const option = this.#next();
    const [value, mask] = maskedNumber(this.#next());
    if (value === undefined || mask === undefined) return { kind: "unknown" };
    if (option === "--set-xmark") return { kind: "mark", value, mask };
    return option === "--set-mark"
      ? { kind: "mark", value, mask: (mask | value) >>> 0 }
      : { kind: "unknown" };
  }

  #skipValues(): void {
    while (
      this.#at < this.#words.length && !/^(-|!)/.test(this.#words[this.#at]!)
    ) this.#at++;
  }
}

function addressMatch(
  text: string,
  of: (packet: TestPacket) => Ipv4,
): Condition {
  const cidr = parseCidr(text.includes("/") ? text : `${text}/32`);
  return cidr === undefined ? PERHAPS : (packet) => contains(cidr, of(packet));
}

function deviceMatch(
  pattern: string,
  of: (packet: TestPacket) => string | undefined,
  side: "input" | "output",
): Condition {
  const glob = pattern.replace(/\+$/, "*");
  return (packet) => isDevice(packet, side, of(packet), glob);
}

function protocolMatch(text: string): Condition {
  if (text === "all") return () => true;
  const number = protocolNumber(text);
  if (number === undefined) return PERHAPS;
  return ({ protocol }) => number === 0 || protocol === number;
}

/** `80`, `80:90`, `80,443,1024:`. */
function portMatch(text: string): Condition {
  const ranges = text.split(",").map((range) => {
    const [from = "", to = from] = range.split(":");
    return [from === "" ? 0 : Number(from), to === "" ? 65_535 : Number(to)];
  });
  if (ranges.flat().some(Number.isNaN)) return PERHAPS;
  return ({ port }) =>
    port === undefined
      ? undefined
      : anyHolds(ranges.map(([from, to]) => port >= from! && port <= to!));
}

function connectionMatch(text: string): Condition {
  const states = text.toLowerCase().split(",");
  return (_packet, { connection }) =>
    connection === undefined
      ? undefined
      // A rewritten packet has these states beside its own.
      : states.some((state) => state === "dnat" || state === "snat")
      ? undefined
      : states.includes(connection);
}

function markMatch(text: string): Condition {
  const [value, mask] = maskedNumber(text);
  if (value === undefined || mask === undefined) return PERHAPS;
  return (_packet, { mark }) =>
    mark === undefined ? undefined : ((mark & mask) >>> 0) === value;
}

/** `VALUE[/MASK]`. */
function maskedNumber(text: string): [number | undefined, number | undefined] {
  const [value, mask = "0xffffffff"] = text.split("/");
  return [wholeNumber(value), wholeNumber(mask)];
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^(0x[0-9a-f]+|\d+)$/i.test(text)
    ? Number(text)
    : undefined;
}

function localMatch(
  type: string,
  of: (packet: TestPacket) => Ipv4,
): Condition {
  if (type !== "LOCAL") return PERHAPS;
  return (packet) => packet.isLocal(of(packet));
}
