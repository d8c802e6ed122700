/**
 * Sends probes to the peers, a few a second, and questions when asked to.
 *
 * @module
 */

import { type Clock, slept } from "../../linux/clock.ts";
import { ERRNO } from "../../linux/errno.ts";
import type { RandomSource } from "../../linux/random.ts";
import type { Ipv4 } from "../../net/ipv4.ts";
import {
  encodeProbe,
  PROBE_HEADER_BYTES,
  PROBE_PACKET_OVERHEAD_BYTES,
  QUESTION_BYTES,
} from "../../net/probe_message.ts";
import { Exchanges, type Response } from "./exchanges.ts";
import type { Probe, ProbeConditions, ProbeWay } from "./peer_probe.ts";
import type { PeerProbes, ProbedPeer } from "./peer_probes.ts";

/** What carries the requests; results are bytes or a negative errno. */
export interface ProbeSender {
  udp(address: Ipv4, payload: Uint8Array): number;
  icmp(address: Ipv4, nonce: Uint8Array, packetBytes: number): number;
  /** Whether there is a socket for ICMP. */
  readonly hasIcmp: boolean;
  /** Whether the host's own address is still there. */
  hasAddress(): boolean;
}

/** What one probe on request has found, in milliseconds; `null`: no answer. */
export interface ProbeResult {
  readonly udpMs: number | null;
  readonly icmpMs: number | null;
}

/** The answer to a question. */
export interface ProbeAnswer {
  readonly rttMs: number;
  readonly content: Uint8Array;
}

/** After which a probe on request, or a question, is sent again. */
const ATTEMPT_MS = 700;
const ATTEMPTS = 3;
/** A question that is repeated may meet a narrow path: so large is the last one. */
const LAST_QUESTION_BYTES = 500;
/** Probes and questions on request that wait at the same time. */
const MOST_ON_REQUEST = 16;
/** Of errors of this host itself: they say nothing about the peer. */
const OWN_ERRORS: ReadonlySet<number> = new Set([
  ERRNO.EINVAL,
  ERRNO.EADDRNOTAVAIL,
  ERRNO.ENETUNREACH,
  ERRNO.ENETDOWN,
]);
/** The queue is full, and so is nothing said about the peer. */
const FULL_ERRORS: ReadonlySet<number> = new Set([
  ERRNO.EAGAIN,
  ERRNO.ENOBUFS,
  ERRNO.ENOMEM,
]);

interface Turn {
  readonly probed: ProbedPeer;
  readonly nonces: readonly Uint8Array[];
}

/** See the module. */
export class Prober {
  readonly #clock: Clock;
  readonly #peers: PeerProbes;
  readonly #exchanges: Exchanges;
  #turns = new Set<Turn>();
  #onRequest = 0;
  /** Packets sent, questions included. */
  sent = 0;

  constructor(
    clock: Clock,
    random: Pick<RandomSource, "bytes">,
    peers: PeerProbes,
  ) {
    this.#clock = clock;
    this.#peers = peers;
    this.#exchanges = new Exchanges(clock, random);
  }

  /** Ends the turns of the last second and begins the next ones. */
  tick(sender: ProbeSender, mtuBytes: number): void {
    const conditions = { mtuBytes, icmp: sender.hasIcmp };
    this.#endTurns(conditions);
    this.#peers.takeTurns(
      this.#clock.monotonic(),
      conditions,
      (probed) => this.#begin(probed, sender, conditions),
    );
  }

  /** Ends all turns without a conclusion, because nothing can be sent. */
  pause(): void {
    const nowMs = this.#clock.monotonic();
    for (const turn of this.#turns) {
      this.#close(turn);
      turn.probed.probe.cancel(nowMs);
    }
  }

  /** @returns whether a request waited for the response. */
  accept(response: Response): boolean {
    return this.#exchanges.accept(response);
  }

  /**
   * Probes a peer at once by both ways, until one answer each or two seconds. Its
   * next turn follows: what was found out by request counts by its turns alone.
   */
  async probeNow(
    probed: ProbedPeer,
    packetBytes: number,
    sender: ProbeSender,
    signal: AbortSignal,
  ): Promise<ProbeResult> {
    const { address } = probed;
    const found: Partial<Record<ProbeWay, number>> = {};
    this.#peers.hasten(probed);
    const ways: readonly ProbeWay[] = sender.hasIcmp
      ? ["udp", "icmp"]
      : ["udp"];
    await this.#attempts(
      signal,
      (_attempt, done) =>
        ways.filter((way) => found[way] === undefined).map((way) =>
          this.#send({ way, packetBytes }, address, sender, (rttMs) => {
            found[way] ??= rttMs;
            if (ways.every((each) => found[each] !== undefined)) done();
          }).nonce
        ),
    );
    return { udpMs: found.udp ?? null, icmpMs: found.icmp ?? null };
  }

  /**
   * Asks the agent of a peer.
   *
   * @returns `undefined` if no answer came within two seconds.
   */
  async ask(
    { address }: ProbedPeer,
    content: Uint8Array,
    sender: ProbeSender,
    signal: AbortSignal,
  ): Promise<ProbeAnswer | undefined> {
    let answer: ProbeAnswer | undefined;
    await this.#attempts(signal, (attempt, done) => {
      const nonce = this.#exchanges.open({
        address,
        way: "udp",
        kind: "answer",
        onResponse: (rttMs, content) => {
          answer ??= { rttMs, content };
          done();
        },
      });
      const sizeBytes = attempt < ATTEMPTS - 1
        ? QUESTION_BYTES
        : LAST_QUESTION_BYTES;
      this.sent++;
      sender.udp(
        address,
        encodeProbe({ kind: "question", nonce, content }, sizeBytes),
      );
      return [nonce];
    });
    return answer;
  }

  /** Sends until `done`, the signal or the last attempt's time. */
  async #attempts(
    signal: AbortSignal,
    send: (attempt: number, done: () => void) => readonly Uint8Array[],
  ): Promise<void> {
    if (this.#onRequest >= MOST_ON_REQUEST) return;
    this.#onRequest++;
    const over = new AbortController();
    const ending = AbortSignal.any([signal, over.signal]);
    const nonces: Uint8Array[] = [];
    try {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        nonces.push(...send(attempt, () => over.abort()));
        if (!await slept(this.#clock, ATTEMPT_MS, ending)) break;
      }
    } finally {
      for (const nonce of nonces) this.#exchanges.close(nonce);
      this.#onRequest--;
    }
  }

  #endTurns(conditions: ProbeConditions): void {
    const nowMs = this.#clock.monotonic();
    for (const turn of this.#turns) {
      this.#close(turn);
      turn.probed.probe.end(conditions, nowMs);
      this.#peers.settle(turn.probed);
    }
  }

  #close(turn: Turn): void {
    this.#turns.delete(turn);
    for (const nonce of turn.nonces) this.#exchanges.close(nonce);
  }

  #begin(
    probed: ProbedPeer,
    sender: ProbeSender,
    conditions: ProbeConditions,
  ): void {
    const { address, probe } = probed;
    const probes = probe.begin(conditions);
    const sent = probes.map((each) =>
      this.#send(
        each,
        address,
        sender,
        (rttMs) => probe.answer(each, rttMs, this.#clock.monotonic()),
      )
    );
    const turn = { probed, nonces: sent.map(({ nonce }) => nonce) };
    this.#turns.add(turn);
    const isOwnFault = sent.some(({ error }) =>
      FULL_ERRORS.has(error) ||
      (OWN_ERRORS.has(error) && !sender.hasAddress())
    );
    if (isOwnFault) {
      this.#close(turn);
      probe.cancel(this.#clock.monotonic());
    }
  }

  #send(
    { packetBytes, way }: Probe,
    address: Ipv4,
    sender: ProbeSender,
    onResponse: (rttMs: number) => void,
  ): { readonly nonce: Uint8Array; readonly error: number } {
    const nonce = this.#exchanges.open({
      address,
      way,
      kind: "echo",
      onResponse,
    });
    this.sent++;
    const result = way === "icmp"
      ? sender.icmp(address, nonce, packetBytes)
      : sender.udp(
        address,
        encodeProbe(
          { kind: "echo-request", nonce, content: new Uint8Array() },
          Math.max(
            PROBE_HEADER_BYTES,
            packetBytes - PROBE_PACKET_OVERHEAD_BYTES,
          ),
        ),
      );
    return { nonce, error: Math.max(0, -result) };
  }
}
