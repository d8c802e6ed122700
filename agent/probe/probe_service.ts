/**
 * Probes between the agents of a network: answers those of other hosts and sends
 * its own, from this host's address in the overlay (docs/probes.md).
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError, LodenError } from "../../errors.ts";
import { type Clock, slept } from "../../linux/clock.ts";
import type { DescriptorWaiter } from "../../linux/descriptor_watch.ts";
import type { EchoSocket } from "../../linux/echo_socket.ts";
import { ERRNO, SystemCallError } from "../../linux/errno.ts";
import {
  PROBE_TTL,
  type ProbeDatagram,
  type ProbeSocket,
} from "../../linux/probe_socket.ts";
import type { RandomSource } from "../../linux/random.ts";
import { formatIpv4, type Ipv4 } from "../../net/ipv4.ts";
import type { PeerDiff, PeerTraffic } from "../../net/peer.ts";
import { decodeProbe } from "../../net/probe_message.ts";
import { BusyPeers } from "./busy_peers.ts";
import { ProbeAddressError, ProbePortError } from "./errors.ts";
import { PeerProbes, type ProbedPeer } from "./peer_probes.ts";
import {
  type ProbeAnswer,
  Prober,
  type ProbeResult,
  type ProbeSender,
} from "./prober.ts";
import { type AnswerQuestion, Responder } from "./responder.ts";
import { type RateLimit, TokenBucket } from "./token_bucket.ts";

const log = getLogger(["loden", "probe"]);

const TICK_MS = 1_000;
/** Between two looks at the peers' traffic, each of a system call for a peer. */
const TRAFFIC_TICKS = 30;
/** All of fewer have their turns in time anyway. */
const MANY_PEERS = 50;
/** Datagrams that are read, of all senders; the rest is lost in the kernel. */
const READ_LIMIT: RateLimit = { perSecond: 400, burst: 400 };
/** Then the rest of the agent has its turn. */
const READS_AT_ONCE = 32;
const READ_PAUSE_MS = 100;

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
export interface ProbeComponents {
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Throw {@linkcode SystemCallError}. */
  readonly openSocket: (address: Ipv4, port: number) => ProbeSocket;
  readonly openEcho: (address: Ipv4) => EchoSocket;
  readonly watch: (descriptors: readonly number[]) => DescriptorWaiter;
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
  /** Datagrams of senders that are no peer's host, or by another device. */
  readonly refused: number;
  /** Datagrams of peers that are no message, and unexpected responses. */
  readonly unexpected: number;
}

interface Sockets {
  readonly address: Ipv4;
  readonly udp: ProbeSocket;
  /** Absent without CAP_NET_RAW. */
  readonly echo: EchoSocket | undefined;
  readonly watch: DescriptorWaiter;
  readonly ending: AbortController;
  reading: Promise<void>;
  isBroken: boolean;
}

/** See the module. */
export class ProbeService {
  readonly port: number;
  readonly peers: PeerProbes;
  readonly #components: ProbeComponents;
  readonly #events: ProbeEvents;
  readonly #prober: Prober;
  readonly #responder: Responder;
  readonly #readLimit: TokenBucket;
  readonly #busy = new BusyPeers();
  #ticks = 0;
  #sockets: Sockets | undefined;
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
    this.#readLimit = new TokenBucket(clock, READ_LIMIT);
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
      refused: this.#refused,
      unexpected: this.#unexpected,
    };
  }

  /** The peers have changed. */
  apply(diff: PeerDiff): void {
    this.peers.apply(diff);
  }

  /** Runs until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      do await this.#tick(); while (
        await slept(this.#components.clock, TICK_MS, signal)
      );
    } finally {
      await this.#close();
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
    const sender = this.#sender(sockets);
    return await this.#prober.probeNow(probed, packetBytes, sender, signal);
  }

  /** See {@linkcode Prober.ask}. */
  async ask(
    key: string,
    question: Uint8Array,
    signal: AbortSignal,
  ): Promise<ProbeAnswer | undefined> {
    const [probed, sockets] = [this.peers.get(key), this.#sockets];
    if (probed === undefined || sockets === undefined) return undefined;
    const sender = this.#sender(sockets);
    return await this.#prober.ask(probed, question, sender, signal);
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
        // What waits in the sockets would count as lost otherwise.
        this.#drain(this.#sockets);
        this.#lookAtTraffic();
        this.#prober.tick(this.#sender(this.#sockets), target.mtuBytes);
      }
    } else {
      this.#failure = undefined;
    }
    this.#events.onTick(this);
  }

  #lookAtTraffic(): void {
    if (this.peers.size <= MANY_PEERS || this.#ticks++ % TRAFFIC_TICKS > 0) {
      return;
    }
    this.peers.setTraffic(this.#busy.look(this.#events.traffic()));
  }

  #needsOther({ address }: ProbeTarget): boolean {
    const sockets = this.#sockets;
    return sockets !== undefined &&
      (sockets.isBroken || sockets.address !== address);
  }

  #open(address: Ipv4): Sockets | undefined {
    const { openSocket, watch } = this.#components;
    let udp: ProbeSocket;
    try {
      udp = openSocket(address, this.port);
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this.#failure = error.errno === ERRNO.EADDRINUSE
        ? new ProbePortError(address, this.port, error)
        : error.errno === ERRNO.EADDRNOTAVAIL
        ? new ProbeAddressError(address, error)
        : error;
      return undefined;
    }
    this.#failure = undefined;
    const echo = this.#openEcho(address);
    const sockets: Sockets = {
      address,
      udp,
      echo,
      watch: watch(
        echo ? [udp.descriptor, echo.descriptor] : [udp.descriptor],
      ),
      ending: new AbortController(),
      reading: Promise.resolve(),
      isBroken: false,
    };
    sockets.reading = this.#read(sockets);
    log.debug("probes are answered", {
      event: "probe.listening",
      address: formatIpv4(address),
      port: this.port,
      icmp: echo !== undefined,
    });
    return sockets;
  }

  #openEcho(address: Ipv4): EchoSocket | undefined {
    try {
      return this.#components.openEcho(address);
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      log.debug("hosts are not probed by ICMP", {
        event: "probe.no-icmp",
        error,
      });
      return undefined;
    }
  }

  async #close(): Promise<void> {
    const sockets = this.#sockets;
    if (sockets === undefined) return;
    this.#sockets = undefined;
    sockets.ending.abort();
    await sockets.watch.stop();
    await sockets.reading;
    sockets.udp[Symbol.dispose]();
    sockets.echo?.[Symbol.dispose]();
  }

  async #read(sockets: Sockets): Promise<void> {
    const { clock } = this.#components;
    try {
      while (!sockets.watch.stopped) {
        await sockets.watch.wait();
        if (sockets.watch.stopped) return;
        if (this.#drain(sockets)) continue;
        if (sockets.isBroken) return;
        if (!await slept(clock, READ_PAUSE_MS, sockets.ending.signal)) return;
      }
    } catch (error) {
      if (!(error instanceof LodenError)) throw error;
      this.#onBroken(sockets, error);
    }
  }

  /** @returns whether everything that had arrived was read. */
  #drain(sockets: Sockets): boolean {
    try {
      for (let read = 0; read < READS_AT_ONCE; read++) {
        if (this.#readLimit.isEmpty) return false;
        const datagram = sockets.udp.receive();
        if (datagram !== undefined) this.#receive(sockets, datagram);
        const reply = sockets.echo?.receive();
        if (reply !== undefined) {
          this.#count(this.#prober.accept({
            ...reply,
            way: "icmp",
            kind: "echo",
            content: new Uint8Array(),
          }));
        }
        if (datagram === undefined && reply === undefined) return true;
        this.#readLimit.take();
      }
      return false;
    } catch (error) {
      if (!(error instanceof LodenError)) throw error;
      this.#onBroken(sockets, error);
      return false;
    }
  }

  /** The next tick opens others. */
  #onBroken(sockets: Sockets, error: LodenError): void {
    sockets.isBroken = true;
    log.warn("probes cannot be received; opening the sockets again", {
      event: "probe.socket-broken",
      error,
    });
  }

  #receive(sockets: Sockets, datagram: ProbeDatagram): void {
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
    if (from === undefined || target.dataPath === undefined) return from;
    const leastTtl = PROBE_TTL - ttlTakenBy(target.dataPath) -
      ttlTakenBy(from.peer.dataPath);
    return ttl < leastTtl ? undefined : from;
  }

  #reply(
    sockets: Sockets,
    { address }: ProbedPeer,
    bytes: Uint8Array | undefined,
  ): void {
    if (bytes === undefined || sockets !== this.#sockets) return;
    // A reply that cannot be sent is lost, as one on its way would be.
    sockets.udp.send(address, this.port, bytes);
  }

  #count(isExpected: boolean): void {
    if (isExpected) this.#responses++;
    else this.#unexpected++;
  }

  #sender(sockets: Sockets): ProbeSender {
    // A closed descriptor may be another file's by then.
    const ifOpen = (send: () => number | undefined) =>
      sockets === this.#sockets ? send() ?? 0 : -ERRNO.EBADF;
    return {
      hasIcmp: sockets.echo !== undefined,
      udp: (address, payload) =>
        ifOpen(() => sockets.udp.send(address, this.port, payload)),
      icmp: (address, nonce, packetBytes) =>
        ifOpen(() => sockets.echo?.send(address, nonce, packetBytes)),
      hasAddress: () => this.#hasAddress(sockets.address),
    };
  }

  /** Any port can be bound to an address that is there. */
  #hasAddress(address: Ipv4): boolean {
    try {
      this.#components.openSocket(address, 0)[Symbol.dispose]();
      return true;
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      return error.errno !== ERRNO.EADDRNOTAVAIL;
    }
  }
}

/** As flannel, the user-space data path takes one at each end (compat 7.5). */
function ttlTakenBy(dataPath: string | undefined): number {
  return dataPath === "tun" ? 1 : 0;
}
