/**
 * What is known of one peer by probes, and what to send it next.
 *
 * A turn is up to three probes that are sent at the same moment. What follows on a
 * turn that finds no answer:
 *
 * 1. A probe of the largest size that passed is lost. Nothing is concluded.
 * 2. Small probes follow, by UDP and by ICMP. If one is answered, the peer is
 *    reachable. If that happens twice, the path has become narrower, and a search
 *    with three sizes a turn finds its MTU.
 * 3. The small ones are lost twice: the peer is unreachable. Without a second kind
 *    of probe it is unknown: a firewall may drop the first kind.
 *
 * Times are of the monotonic clock.
 *
 * @module
 */

import type { PeerProbeState } from "../status/state.ts";

/** `unknown`: not probed yet, or silent to the only kind of probe that there is. */
export type ProbeState = "unknown" | "reachable" | "unreachable";

/** How a peer answers. */
export type ProbeWay = "udp" | "icmp";

/** One probe. */
export interface Probe {
  readonly way: ProbeWay;
  /** Of the packet, the IPv4 header included. */
  readonly packetBytes: number;
}

/** What the turns of all peers depend on. */
export interface ProbeConditions {
  /** The overlay's MTU: no probe is larger. */
  readonly mtuBytes: number;
  /** Whether ICMP can be sent. */
  readonly icmp: boolean;
}

/** Between two turns of a peer that answers. */
export const STEADY_MS = 10_000;
/** Between two turns of a peer that is unreachable. */
const DOWN_MS = 5_000;
/** Turns without an answer, the first one included, until it is unreachable. */
export const SILENT_TURNS = 3;
/** A packet that passes every path. */
export const SMALL_BYTES = 68;
/** Of these turns, one tries whether a narrow path has become wider. */
const WIDER_EVERY = 12;
/** Of these turns of a peer that answers ICMP alone, one tries UDP. */
const UDP_EVERY = 4;
/** Large packets are lost so often, and small ones not: the path is narrow. */
const LARGE_LOSSES = 2;
/** Sizes that one turn of a search tries. */
const SEARCH_SIZES = 3;
/** The last turns, for the share that was lost. */
const HISTORY_TURNS = 32;

type Phase =
  | { readonly kind: "steady" }
  | {
    readonly kind: "doubt";
    readonly misses: number;
    readonly lostBytes: number;
  }
  | {
    readonly kind: "search";
    readonly passes: number;
    readonly fails: number;
  }
  | { readonly kind: "down" };

interface Turn {
  readonly probes: readonly Probe[];
  readonly answered: Set<Probe>;
  /** Of these, the one that shows whether a narrow path has become wider. */
  readonly wider?: Probe;
}

const STEADY: Phase = { kind: "steady" };

/** See the module. */
export class PeerProbe {
  state: ProbeState = "unknown";
  /** Since when it is in that state. */
  stateSinceMs: number;
  way: ProbeWay | undefined;
  /** Smoothed, as TCP does (RFC 6298); `undefined` before the first answer. */
  rttMs: number | undefined;
  /** The largest packet that passed. */
  mtuBytes: number | undefined;
  lastAnswerMs: number | undefined;
  /** From when on the next turn may begin. */
  dueMs: number;
  #phase: Phase = STEADY;
  #turn: Turn | undefined;
  #turns = 0;
  #largeLosses = 0;
  #fullBytes = 0;
  /** One bit a turn, 1 if it was answered, the latest lowest. */
  #history = 0;
  #historyTurns = 0;

  constructor(nowMs: number) {
    this.stateSinceMs = nowMs;
    this.dueMs = nowMs;
  }

  /** What its next turn is for. */
  get purpose(): "find out" | "look again" | "confirm" {
    const { kind } = this.#phase;
    return kind === "steady"
      ? "confirm"
      : kind === "down"
      ? "look again"
      : "find out";
  }

  /** The share of the last turns without an answer, 0 to 1. */
  get lossRatio(): number | undefined {
    if (this.#historyTurns === 0) return undefined;
    let answered = 0;
    for (let bits = this.#history; bits !== 0; bits &= bits - 1) answered++;
    return 1 - answered / this.#historyTurns;
  }

  /** What is known of it, as of now. */
  figures(nowMs: number): PeerProbeState {
    const { lastAnswerMs, lossRatio, mtuBytes, rttMs, state } = this;
    const answerAgeMs = lastAnswerMs === undefined
      ? undefined
      : nowMs - lastAnswerMs;
    return { state, rttMs, lossRatio, mtuBytes, answerAgeMs };
  }

  /** How many packets the next turn takes. */
  cost(conditions: ProbeConditions): number {
    return this.#plan(conditions).probes.length;
  }

  /** Begins a turn: what to send now. */
  begin(conditions: ProbeConditions): readonly Probe[] {
    const plan = this.#plan(conditions);
    this.#turn = { ...plan, answered: new Set() };
    return plan.probes;
  }

  /** A probe of the turn was answered. */
  answer(probe: Probe, rttMs: number, nowMs: number): void {
    this.rttMs = this.rttMs === undefined
      ? rttMs
      : this.rttMs + (rttMs - this.rttMs) / 8;
    this.lastAnswerMs = nowMs;
    this.#turn?.answered.add(probe);
  }

  /** Ends the turn: probes that are not answered by now are lost. */
  end({ icmp }: ProbeConditions, nowMs: number): void {
    const turn = this.#turn;
    if (turn === undefined) return;
    this.#turn = undefined;
    this.#turns++;
    this.dueMs = nowMs;
    const phase = this.#phase;
    if (phase.kind === "search") {
      this.#endSearch(phase, turn, nowMs);
      return;
    }
    this.#remember(turn.answered.size > 0);
    if (turn.answered.size === 0) this.#miss(phase, turn, icmp, nowMs);
    else this.#hit(phase, turn, nowMs);
    const { wider } = turn;
    if (wider === undefined || !turn.answered.has(wider)) return;
    this.#search(wider.packetBytes, this.#fullBytes + 1, nowMs);
  }

  /** Ends the turn without a conclusion: it could not be carried out. */
  cancel(nowMs: number): void {
    this.#turn = undefined;
    this.dueMs = nowMs;
  }

  #plan(
    { icmp, mtuBytes: fullBytes }: ProbeConditions,
  ): Pick<Turn, "probes" | "wider"> {
    if (fullBytes !== this.#fullBytes) {
      this.#fullBytes = fullBytes;
      this.mtuBytes = undefined;
      this.#largeLosses = 0;
      if (this.#phase.kind === "search") this.#phase = STEADY;
    }
    const phase = this.#phase;
    const way = icmp ? this.way ?? "udp" : "udp";
    if (phase.kind === "search") {
      const probes = sizesBetween(phase.passes, phase.fails)
        .map((packetBytes): Probe => ({ way, packetBytes }));
      return { probes };
    }
    const small: Probe = { way: "udp", packetBytes: SMALL_BYTES };
    if (phase.kind !== "steady") {
      return { probes: icmp ? [small, { ...small, way: "icmp" }] : [small] };
    }
    const mtuBytes = this.mtuBytes ?? fullBytes;
    const usual: Probe = { way, packetBytes: mtuBytes };
    if (mtuBytes < fullBytes && this.#turns % WIDER_EVERY === 0) {
      const wider: Probe = { way, packetBytes: mtuBytes + 1 };
      return { probes: [usual, wider], wider };
    }
    const triesUdp = way === "icmp" && this.#turns % UDP_EVERY === 0;
    return { probes: triesUdp ? [usual, small] : [usual] };
  }

  #hit(phase: Phase, turn: Turn, nowMs: number): void {
    this.#become("reachable", nowMs);
    const byUdp = [...turn.answered].some(({ way }) => way === "udp");
    this.way = byUdp ? "udp" : "icmp";
    if (phase.kind === "steady") {
      this.#phase = STEADY;
      this.dueMs = nowMs + STEADY_MS;
      const [usual] = turn.probes;
      if (!turn.answered.has(usual!)) return;
      this.#largeLosses = 0;
      this.mtuBytes = usual!.packetBytes;
      return;
    }
    this.#phase = STEADY;
    const isLarge = phase.kind === "doubt" && phase.lostBytes > SMALL_BYTES;
    if (!isLarge || ++this.#largeLosses < LARGE_LOSSES) return;
    this.#largeLosses = 0;
    // The lost size is tried once more: an agent that ends loses it, too.
    this.#search(SMALL_BYTES, phase.lostBytes + 1, nowMs);
  }

  #miss(phase: Phase, turn: Turn, icmp: boolean, nowMs: number): void {
    if (phase.kind === "steady") {
      const lostBytes = turn.probes[0]!.packetBytes;
      this.#phase = { kind: "doubt", misses: 1, lostBytes };
      return;
    }
    if (phase.kind === "doubt") {
      const misses = phase.misses + 1;
      if (misses < SILENT_TURNS) {
        this.#phase = { ...phase, misses };
        return;
      }
    }
    this.#phase = { kind: "down" };
    this.#largeLosses = 0;
    this.dueMs = nowMs + DOWN_MS;
    this.#become(icmp ? "unreachable" : "unknown", nowMs);
  }

  #endSearch(
    { fails, passes }: Phase & { kind: "search" },
    turn: Turn,
    nowMs: number,
  ): void {
    const passed = [...turn.answered].map(({ packetBytes }) => packetBytes);
    const most = Math.max(passes, ...passed);
    const least = Math.min(
      fails,
      ...turn.probes.map(({ packetBytes }) => packetBytes)
        .filter((packetBytes) => packetBytes > most),
    );
    this.#search(most, least, nowMs);
  }

  /** Goes on with the search, or ends it where nothing is between the sizes. */
  #search(passes: number, fails: number, nowMs: number): void {
    if (fails - passes > 1) {
      this.#phase = { kind: "search", passes, fails };
    } else if (passes === SMALL_BYTES) {
      // No path is so narrow: the peer does not answer at all any more.
      this.#phase = { kind: "doubt", misses: 1, lostBytes: SMALL_BYTES };
    } else {
      this.mtuBytes = passes;
      this.#phase = STEADY;
      this.dueMs = nowMs + STEADY_MS;
    }
  }

  #become(state: ProbeState, nowMs: number): void {
    if (this.state === state) return;
    this.state = state;
    this.stateSinceMs = nowMs;
  }

  #remember(isAnswered: boolean): void {
    this.#history = (this.#history << 1 | Number(isAnswered)) >>> 0;
    this.#historyTurns = Math.min(HISTORY_TURNS, this.#historyTurns + 1);
  }
}

/** Sizes that cut what is between two others into equal parts. */
function sizesBetween(passes: number, fails: number): number[] {
  const sizes = Array.from(
    { length: SEARCH_SIZES },
    (_, index) =>
      passes +
      Math.floor((fails - passes) * (index + 1) / (SEARCH_SIZES + 1)),
  );
  return [...new Set(sizes)].filter((size) => size > passes);
}
