/**
 * Probes between the agents of a network: answers those of other hosts and sends
 * its own, from this host's address in the overlay (docs/probes.md).
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError, LodenError } from "../../errors.ts";
import { slept } from "../../linux/clock.ts";
import { ERRNO, SystemCallError } from "../../linux/errno.ts";
import type { ProbeDatagram } from "../../linux/probe_socket.ts";
import type { RandomSource } from "../../linux/random.ts";
import type { Ipv4 } from "../../net/ipv4.ts";
import type { PeerDiff, PeerTraffic } from "../../net/peer.ts";
import { decodeProbe } from "../../net/probe_message.ts";
import { BusyPeers } from "./busy_peers.ts";
import { ProbeAddressError, ProbePortError } from "./errors.ts";
import { PeerProbes, type ProbedPeer } from "./peer_probes.ts";
import { filterFor, leastTtl } from "./probe_filter.ts";
import { type ProbeSocketParts, ProbeSockets } from "./probe_sockets.ts";
import { type ProbeAnswer, Prober, type ProbeResult } from "./prober.ts";
import { type AnswerQuestion, Responder } from "./responder.ts";

const log = getLogger(["loden", "probe"]);

const TICK_MS = 1_000;
/** Until the next attempt, where the system refuses something. */
const RETRY_MS = 10_000;
/** Between two looks at the peers' traffic, each of a system call for a peer. */
const TRAFFIC_TICKS = 30;
/** All of fewer have their turns in time anyway. */
const MANY_PEERS = 50;

/** Where this host stands in the overlay, as of now. */
export interface ProbeTarget {
  /** Its own address there: `probe_address.ts`. */
  readonly address: Ipv4;
  readonly backendType: string;
  /** The overlay's. */
  readonly mtuBytes: number;
  /** Devices by which packets of peers arrive. */
  readonly devices: readonly string[];
  /** The data path; `undefined`: what carries the packets is unknown. */
  readonly dataPath: string | undefined;
}

/** What it needs. */
export interface ProbeComponents extends ProbeSocketParts {
  readonly random: RandomSource;
  readonly answerQuestion?: AnswerQuestion | undefined;
}

/** What it tells. */
export interface ProbeEvents {
  /** `undefined` while the network does not run. */
  readonly target: () => ProbeTarget | undefined;
  /** Of the peers that have counters of their own. */
  readonly traffic: () => readonly PeerTraffic[];
  /** After each second, and when the sockets could be opened or not. */
  readonly onTick: (service: ProbeService) => void;
}

/** Numbers since the start, for metrics; the names are an interface. */
export interface ProbeCounters {
  readonly sent: number;
  /** Responses that a request waited for. */
  readonly responses: number;
  /** Requests of peers that were answered. */
  readonly answered: number;
  /** Requests of peers beyond the limits. */
  readonly limited: number;
  /**
   * Datagrams of senders that are no peer's host, or by another device, and what
   * the socket's full buffer has lost.
   */
  readonly refused: number;
  /** Datagrams of peers that are no message, and unexpected responses. */
  readonly unexpected: number;
}

/** See the module. */
export class ProbeService {
  readonly port: number;
  readonly peers: PeerProbes;
  readonly #components: ProbeComponents;
  readonly #events: ProbeEvents;
  readonly #prober: Prober;
  readonly #responder: Responder;
  readonly #busy = new BusyPeers();
  #isTrafficUnread = false;
  #ticks = 0;
  #sockets: ProbeSockets | undefined;
  #target: ProbeTarget | undefined;
  /** Why there are no sockets. */
  #failure: LodenError | undefined;
  #responses = 0;
  #refused = 0;
  #unexpected = 0;

  constructor(
    components: ProbeComponents,
    port: number,
    events: ProbeEvents,
  ) {
    const { answerQuestion, clock, random } = components;
    this.port = port;
    this.#components = components;
    this.#events = events;
    this.peers = new PeerProbes(clock, random);
    this.#prober = new Prober(clock, random, this.peers);
    this.#responder = new Responder(clock, answerQuestion);
  }

  /** Where it listens; `undefined` if it does not. */
  get address(): Ipv4 | undefined {
    return this.#sockets?.address;
  }

  /** Why it cannot listen although the network runs. */
  get failure(): LodenError | undefined {
    return this.#failure;
  }

  /** Of the last second in which the network ran. */
  get target(): ProbeTarget | undefined {
    return this.#target;
  }

  get counters(): ProbeCounters {
    return {
      sent: this.#prober.sent,
      responses: this.#responses,
      answered: this.#responder.answered,
      limited: this.#responder.limited,
      refused: this.#refused + (this.#sockets?.dropped ?? 0),
      unexpected: this.#unexpected,
    };
  }

  /** The peers have changed. */
  apply(diff: PeerDiff): void {
    this.peers.apply(diff);
  }

  /** Runs until aborted, whatever the system answers in between. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#components;
    try {
      let pauseMs: number;
      do pauseMs = await this.#attempt() ? TICK_MS : RETRY_MS; while (
        await slept(clock, pauseMs, signal)
      );
    } finally {
      await this.#close();
    }
  }

  async #attempt(): Promise<boolean> {
    try {
      await this.#tick();
      return true;
    } catch (error) {
      if (!(error instanceof LodenError)) throw error;
      this.#prober.pause();
      await this.#close();
      this.#failure = error;
      return false;
    } finally {
      this.#events.onTick(this);
    }
  }

  /** See {@linkcode Prober.probeNow}; `undefined` without such a peer or socket. */
  async probeNow(
    key: string,
    packetBytes: number,
    signal: AbortSignal,
  ): Promise<ProbeResult | undefined> {
    const [probed, sockets] = [this.peers.get(key), this.#sockets];
    if (probed === undefined || sockets === undefined) return undefined;
    return await this.#prober.probeNow(probed, packetBytes, sockets, signal);
  }

  /** See {@linkcode Prober.ask}. */
  async ask(
    key: string,
    question: Uint8Array,
    signal: AbortSignal,
  ): Promise<ProbeAnswer | undefined> {
    const [probed, sockets] = [this.peers.get(key), this.#sockets];
    if (probed === undefined || sockets === undefined) return undefined;
    return await this.#prober.ask(probed, question, sockets, signal);
  }

  async #tick(): Promise<void> {
    const target = this.#events.target();
    if (target === undefined || this.#needsOther(target)) {
      this.#prober.pause();
      await this.#close();
    }
    this.#target = target;
    if (target !== undefined) {
      this.peers.setOwnType(target.backendType);
      this.#sockets ??= this.#open(target.address);
      if (this.#sockets !== undefined) {
        this.#sockets.setFilter(filterFor(target, this.peers.values()));
        // What waits in the sockets would count as lost otherwise.
        this.#sockets.drain();
        this.#lookAtTraffic();
        this.#prober.tick(this.#sockets, target.mtuBytes);
      }
    } else {
      this.#failure = undefined;
    }
  }

  #lookAtTraffic(): void {
    if (this.peers.size <= MANY_PEERS || this.#ticks++ % TRAFFIC_TICKS > 0) {
      return;
    }
    this.peers.setTraffic(this.#busy.look(this.#traffic()));
  }

  /** Without it, peers with traffic have no precedence. */
  #traffic(): readonly PeerTraffic[] {
    try {
      const traffic = this.#events.traffic();
      this.#isTrafficUnread = false;
      return traffic;
    } catch (error) {
      if (!(error instanceof LodenError)) throw error;
      if (!this.#isTrafficUnread) {
        log.warn("the traffic of peers cannot be read for their probes", {
          event: "probe.traffic-unread",
          error,
        });
      }
      this.#isTrafficUnread = true;
      return [];
    }
  }

  #needsOther({ address }: ProbeTarget): boolean {
    const sockets = this.#sockets;
    return sockets !== undefined &&
      (sockets.isBroken || sockets.address !== address);
  }

  #open(address: Ipv4): ProbeSockets | undefined {
    try {
      const sockets = new ProbeSockets(address, this.port, this.#components, {
        datagram: (sockets, datagram) => this.#receive(sockets, datagram),
        reply: (reply) =>
          this.#count(this.#prober.accept({
            ...reply,
            way: "icmp",
            kind: "echo",
            content: new Uint8Array(),
          })),
      });
      this.#failure = undefined;
      return sockets;
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this.#failure = error.errno === ERRNO.EADDRINUSE
        ? new ProbePortError(address, this.port, error)
        : error.errno === ERRNO.EADDRNOTAVAIL
        ? new ProbeAddressError(address, error)
        : error;
      return undefined;
    }
  }

  async #close(): Promise<void> {
    await using sockets = this.#sockets;
    this.#sockets = undefined;
    this.#refused += sockets?.dropped ?? 0;
  }

  #receive(sockets: ProbeSockets, datagram: ProbeDatagram): void {
    const from = this.#senderOf(datagram);
    if (from === undefined) {
      this.#refused++;
      return;
    }
    const { payload } = datagram;
    const message = decodeProbe(payload);
    switch (message?.kind) {
      case "echo-request":
        this.#reply(sockets, from, this.#responder.echo(from, message));
        return;
      case "question":
        this.#responder.question(from, message, payload.length).then(
          (answer) => this.#reply(sockets, from, answer),
          (error) =>
            log.error("a question of another host could not be answered", {
              event: "probe.answer-failed",
              subnet: from.key,
              reason: describeError(error),
            }),
        );
        return;
      case "echo-reply":
      case "answer":
        this.#count(this.#prober.accept({
          ...message,
          address: from.address,
          way: "udp",
          kind: message.kind === "answer" ? "answer" : "echo",
        }));
        return;
      case undefined:
        this.#unexpected++;
    }
  }

  /**
   * The peer whose host itself sent it: from the address that it alone has, from
   * the port that its agent holds, and by a device on which packets of peers
   * arrive. A container of this host comes by its bridge. A container of the peer
   * has its host's address if Docker masquerades, but not the TTL: its host has
   * taken one when it forwarded the packet (RFC 5082).
   */
  #senderOf(
    { address, device, port, ttl }: ProbeDatagram,
  ): ProbedPeer | undefined {
    const target = this.#target;
    if (port !== this.port || device === undefined) return undefined;
    if (!target?.devices.includes(device)) return undefined;
    const from = this.peers.at(address);
    if (from === undefined) return undefined;
    return ttl < leastTtl(target, from.peer) ? undefined : from;
  }

  #reply(
    sockets: ProbeSockets,
    { address }: ProbedPeer,
    bytes: Uint8Array | undefined,
  ): void {
    // A reply that cannot be sent is lost, as one on its way would be.
    if (bytes !== undefined) sockets.udp(address, bytes);
  }

  #count(isExpected: boolean): void {
    if (isExpected) this.#responses++;
    else this.#unexpected++;
  }
}
