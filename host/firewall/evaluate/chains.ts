/**
 * Chains of firewall rules, whichever tool set them, and a packet's way through
 * them.
 *
 * A rule whose condition cannot be told is followed both ways. So an unknown rule
 * matters only if it could change the result.
 *
 * @module
 */

import {
  freshState,
  type Holds,
  type Hook,
  type PacketState,
  type TestPacket,
} from "./test_packet.ts";

/** What a rule does with a packet that it matches. */
export type RuleAction =
  | { readonly kind: "accept" | "drop" | "return" | "continue" }
  | { readonly kind: "jump" | "goto"; readonly chain: string }
  /** Bits outside `mask` stay. */
  | { readonly kind: "mark"; readonly value: number; readonly mask: number }
  | { readonly kind: "untrack" }
  /** It may do anything, such as a queue to a program. */
  | { readonly kind: "unknown" };

/** One rule. */
export interface ChainRule {
  /** In the tool's notation, for people. */
  readonly text: string;
  readonly matches: (packet: TestPacket, state: PacketState) => Holds;
  readonly action: RuleAction;
}

/** Chains that can jump to one another. */
export interface ChainTable {
  /** `iptables filter`, `nft ip docker-bridges`. */
  readonly name: string;
  readonly chains: ReadonlyMap<string, readonly ChainRule[]>;
}

/** A chain that netfilter calls itself. */
export interface BaseChain {
  readonly hook: Hook;
  readonly priority: number;
  readonly policy: "accept" | "drop";
  readonly table: ChainTable;
  readonly chain: string;
}

/** What decided. */
export interface DecidingRule {
  readonly table: string;
  readonly chain: string;
  /** `policy drop`, or the rule. */
  readonly rule: string;
}

/** What happens to a packet at a hook. */
export type HookVerdict =
  | { readonly verdict: "accept" }
  | { readonly verdict: "drop"; readonly by: DecidingRule }
  /** Rules that could decide could not be evaluated. */
  | { readonly verdict: "unknown"; readonly by: DecidingRule };

/** Deeper than netfilter allows (`NFT_JUMP_STACK_SIZE`). */
const DEEPEST_JUMP = 16;

/** Lets a packet pass all chains of its hook, in the order of their priorities. */
export function passHook(
  chains: readonly BaseChain[],
  packet: TestPacket,
  state: PacketState = freshState(),
): HookVerdict {
  let doubt: DecidingRule | undefined;
  const called = chains.filter(({ hook }) => hook === packet.hook)
    .toSorted((a, b) => a.priority - b.priority);
  for (const { chain, policy, table } of called) {
    const result = new Walk(table, packet, state).run(chain);
    if (result.through && policy === "accept") result.accepts = true;
    if (result.through && policy === "drop") {
      result.drop ??= { table: table.name, chain, rule: "policy DROP" };
    }
    const { accepts, drop, uncertain, unknown } = result;
    // Whatever happened before: what remains of the packet ends here.
    if (drop !== undefined && !accepts && unknown === undefined) {
      return { verdict: "drop", by: drop };
    }
    doubt ??= unknown ?? (drop && (uncertain ?? drop));
  }
  return doubt === undefined
    ? { verdict: "accept" }
    : { verdict: "unknown", by: doubt };
}

/** What may become of a packet in one chain. */
interface ChainResult {
  accepts: boolean;
  drop: DecidingRule | undefined;
  /** A rule that may do anything. */
  unknown: DecidingRule | undefined;
  /** The first rule of which it cannot be told whether it matches. */
  uncertain: DecidingRule | undefined;
  /** Whether the packet may go back to the caller. */
  through: boolean;
}

class Walk {
  readonly #table: ChainTable;
  readonly #packet: TestPacket;
  readonly #state: PacketState;

  constructor(table: ChainTable, packet: TestPacket, state: PacketState) {
    this.#table = table;
    this.#packet = packet;
    this.#state = state;
  }

  run(chain: string, depth = 0): ChainResult {
    const result: ChainResult = {
      accepts: false,
      drop: undefined,
      unknown: undefined,
      uncertain: undefined,
      through: false,
    };
    const rules = this.#table.chains.get(chain);
    if (rules === undefined || depth > DEEPEST_JUMP) {
      const { name } = this.#table;
      result.unknown = { table: name, chain, rule: "cannot be followed" };
      return result;
    }
    for (const rule of rules) {
      const holds = rule.matches(this.#packet, this.#state);
      if (holds === false) continue;
      const by = { table: this.#table.name, chain, rule: rule.text };
      if (holds === undefined && rule.action.kind !== "continue") {
        result.uncertain ??= by;
      }
      const goesOn = this.#act(rule.action, by, holds === true, depth, result);
      if (holds === true && !goesOn) return result;
    }
    result.through = true;
    return result;
  }

  /** @returns whether a packet that matches goes on to the next rule. */
  #act(
    action: RuleAction,
    by: DecidingRule,
    isCertain: boolean,
    depth: number,
    result: ChainResult,
  ): boolean {
    switch (action.kind) {
      case "accept":
        result.accepts = true;
        return false;
      case "drop":
        result.drop ??= by;
        return false;
      case "return":
        result.through = true;
        return false;
      case "continue":
        return true;
      case "unknown":
        result.unknown ??= by;
        return true;
      case "mark": {
        const { mark } = this.#state;
        const { mask, value } = action;
        this.#state.mark = isCertain && mark !== undefined
          ? ((mark & ~mask) ^ value) >>> 0
          : undefined;
        return true;
      }
      case "untrack":
        this.#state.connection = isCertain ? "untracked" : undefined;
        return true;
      case "jump":
      case "goto": {
        if (!this.#table.chains.has(action.chain)) {
          result.unknown ??= by;
          return true;
        }
        const called = this.#call(action.chain, isCertain, depth);
        result.accepts ||= called.accepts;
        result.drop ??= called.drop;
        result.unknown ??= called.unknown;
        result.uncertain ??= called.uncertain;
        if (action.kind === "jump") return called.through;
        // The end of a chain that is gone to leads back to the caller.
        result.through ||= called.through;
        return false;
      }
    }
  }

  /** What an uncertain call changes of the packet cannot be told afterwards. */
  #call(chain: string, isCertain: boolean, depth: number): ChainResult {
    const before = { ...this.#state };
    const result = this.run(chain, depth + 1);
    if (isCertain) return result;
    const { connection, mark } = this.#state;
    if (mark !== before.mark) this.#state.mark = undefined;
    if (connection !== before.connection) this.#state.connection = undefined;
    return result;
  }
}
