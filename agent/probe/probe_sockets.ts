/**
 * The sockets of probes, at this host's address in the overlay: what arrives is read
 * within limits, and nothing is sent any more once they are closed.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { LodenError } from "../../errors.ts";
import { type Clock, slept } from "../../linux/clock.ts";
import type { DescriptorWaiter } from "../../linux/descriptor_watch.ts";
import type { EchoReply, EchoSocket } from "../../linux/echo_socket.ts";
import { ERRNO, SystemCallError } from "../../linux/errno.ts";
import type {
  ProbeDatagram,
  ProbeFilter,
  ProbeSocket,
} from "../../linux/probe_socket.ts";
import { formatIpv4, type Ipv4 } from "../../net/ipv4.ts";
import type { ProbeSender } from "./prober.ts";
import { type RateLimit, TokenBucket } from "./token_bucket.ts";

const log = getLogger(["loden", "probe"]);

/** Datagrams that are read, of those that pass the socket's filter. */
const READ_LIMIT: RateLimit = { perSecond: 400, burst: 400 };
/** Then the rest of the agent has its turn. */
const READS_AT_ONCE = 32;
const READ_PAUSE_MS = 100;

/** What it needs. */
export interface ProbeSocketParts {
  readonly clock: Clock;
  /** Throw {@linkcode SystemCallError}. */
  readonly openSocket: (address: Ipv4, port: number) => ProbeSocket;
  readonly openEcho: (address: Ipv4) => EchoSocket;
  readonly watch: (descriptors: readonly number[]) => DescriptorWaiter;
}

/** What arrives. */
export interface ProbeArrivals {
  datagram(sockets: ProbeSockets, datagram: ProbeDatagram): void;
  reply(reply: EchoReply): void;
}

/** See the module. */
export class ProbeSockets implements ProbeSender, AsyncDisposable {
  readonly address: Ipv4;
  readonly #port: number;
  readonly #parts: ProbeSocketParts;
  readonly #arrivals: ProbeArrivals;
  readonly #udp: ProbeSocket;
  /** Absent without CAP_NET_RAW. */
  readonly #echo: EchoSocket | undefined;
  readonly #watch: DescriptorWaiter;
  readonly #limit: TokenBucket;
  readonly #ending = new AbortController();
  readonly #reading: Promise<void>;
  /** Whether others must be opened. */
  isBroken = false;

  /** Throws {@linkcode SystemCallError}: the port is taken, or the address gone. */
  constructor(
    address: Ipv4,
    port: number,
    parts: ProbeSocketParts,
    arrivals: ProbeArrivals,
  ) {
    using opened = new DisposableStack();
    this.address = address;
    this.#port = port;
    this.#parts = parts;
    this.#arrivals = arrivals;
    this.#limit = new TokenBucket(parts.clock, READ_LIMIT);
    const udp = opened.use(parts.openSocket(address, port));
    const echo = opened.use(this.#openEcho());
    this.#udp = udp;
    this.#echo = echo;
    this.#watch = parts.watch(
      echo ? [udp.descriptor, echo.descriptor] : [udp.descriptor],
    );
    this.#reading = this.#read();
    opened.move();
    log.debug("probes are answered", {
      event: "probe.listening",
      address: formatIpv4(address),
      port,
      icmp: this.hasIcmp,
    });
  }

  get hasIcmp(): boolean {
    return this.#echo !== undefined;
  }

  /** Datagrams that the kernel has dropped. */
  get dropped(): number {
    return this.#udp.dropped;
  }

  /** See {@linkcode ProbeSocket.setFilter}. */
  setFilter(filter: Omit<ProbeFilter, "port">): void {
    this.#udp.setFilter({ ...filter, port: this.#port });
  }

  udp(address: Ipv4, payload: Uint8Array): number {
    return this.#ifOpen(() => this.#udp.send(address, this.#port, payload));
  }

  icmp(address: Ipv4, nonce: Uint8Array, packetBytes: number): number {
    return this.#ifOpen(() =>
      this.#echo?.send(address, nonce, packetBytes) ?? 0
    );
  }

  /** Any port can be bound to an address that is there. */
  hasAddress(): boolean {
    try {
      this.#parts.openSocket(this.address, 0)[Symbol.dispose]();
      return true;
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      return error.errno !== ERRNO.EADDRNOTAVAIL;
    }
  }

  /** Reads what has arrived. @returns whether it was everything. */
  drain(): boolean {
    try {
      for (let read = 0; read < READS_AT_ONCE; read++) {
        if (this.#limit.isEmpty) return false;
        const datagram = this.#udp.receive();
        if (datagram !== undefined) this.#arrivals.datagram(this, datagram);
        const reply = this.#echo?.receive();
        if (reply !== undefined) this.#arrivals.reply(reply);
        if (datagram === undefined && reply === undefined) return true;
        this.#limit.take();
      }
      return false;
    } catch (error) {
      if (!(error instanceof LodenError)) throw error;
      this.#onBroken(error);
      return false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#watch.stop();
    await this.#reading;
    this.#udp[Symbol.dispose]();
    this.#echo?.[Symbol.dispose]();
  }

  #openEcho(): EchoSocket | undefined {
    try {
      return this.#parts.openEcho(this.address);
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      log.debug("hosts are not probed by ICMP", {
        event: "probe.no-icmp",
        error,
      });
      return undefined;
    }
  }

  async #read(): Promise<void> {
    const { signal } = this.#ending;
    try {
      while (!this.#watch.stopped) {
        await this.#watch.wait();
        if (this.#watch.stopped) return;
        if (this.drain()) continue;
        if (this.isBroken) return;
        if (!await slept(this.#parts.clock, READ_PAUSE_MS, signal)) return;
      }
    } catch (error) {
      if (!(error instanceof LodenError)) throw error;
      this.#onBroken(error);
    }
  }

  #onBroken(error: LodenError): void {
    this.isBroken = true;
    log.warn("probes cannot be received; opening the sockets again", {
      event: "probe.socket-broken",
      error,
    });
  }

  /** A closed descriptor may be another file's by then. */
  #ifOpen(send: () => number): number {
    return this.#ending.signal.aborted ? -ERRNO.EBADF : send();
  }
}
