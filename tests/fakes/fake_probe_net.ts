/**
 * A host's sockets for probes in memory: a test sees what is sent and brings what
 * arrives.
 *
 * @module
 */

import type { EchoReply, EchoSocket } from "../../linux/echo_socket.ts";
import { ERRNO, SystemCallError } from "../../linux/errno.ts";
import type {
  ProbeDatagram,
  ProbeFilter,
  ProbeSocket,
} from "../../linux/probe_socket.ts";
import type { Ipv4 } from "../../net/ipv4.ts";
import { FakeDescriptorWatch } from "./fake_descriptor_watch.ts";

/** A packet that a socket has sent. */
export type SentProbe =
  & { readonly from: Ipv4; readonly to: Ipv4; readonly packetBytes: number }
  & (
    | {
      readonly way: "udp";
      readonly port: number;
      readonly payload: Uint8Array;
    }
    | { readonly way: "icmp"; readonly nonce: Uint8Array }
  );

/** See the module. */
export class FakeProbeNet {
  readonly sent: SentProbe[] = [];
  /** Called with each packet that is sent; no answer by default. */
  onSend: (sent: SentProbe) => void = () => {};
  /** What `bind` fails with, by whether it is for the wanted port. */
  bindError: number | undefined;
  /** What each send fails with. */
  sendError: number | undefined;
  hasIcmp = true;
  /** Sockets that are open now. */
  open = 0;
  /** How often a socket for the port was opened. */
  opened = 0;
  receiveError: number | undefined;
  /** Of the socket that is open; it is not applied. */
  filter: ProbeFilter | undefined;
  /** What the kernel says that the open socket has dropped. */
  dropped = 0;
  readonly #datagrams: ProbeDatagram[] = [];
  readonly #replies: EchoReply[] = [];
  #watch: FakeDescriptorWatch | undefined;

  /** A datagram arrives. */
  bring(datagram: ProbeDatagram): void {
    this.#datagrams.push(datagram);
    this.#watch?.setReady(0, true);
  }

  /** An echo reply arrives. */
  bringEcho(reply: EchoReply): void {
    this.#replies.push(reply);
    this.#watch?.setReady(0, true);
  }

  /** What has arrived and was not read. */
  get unread(): number {
    return this.#datagrams.length + this.#replies.length;
  }

  openSocket = (address: Ipv4, port: number): ProbeSocket => {
    const error = this.bindError;
    const isForPort = port !== 0;
    if (
      error !== undefined && (isForPort || error === ERRNO.EADDRNOTAVAIL)
    ) throw new SystemCallError("listen on UDP", error);
    this.open++;
    if (isForPort) this.opened++;
    const dropped = () => this.dropped;
    return {
      descriptor: 3,
      send: (to, toPort, payload) =>
        this.#send({
          way: "udp",
          from: address,
          to,
          port: toPort,
          payload,
          packetBytes: payload.length + 28,
        }),
      receive: () => {
        if (this.receiveError !== undefined) {
          throw new SystemCallError("receive", this.receiveError);
        }
        return this.#take(this.#datagrams);
      },
      setFilter: (filter) => void (this.filter = filter),
      get dropped() {
        return dropped();
      },
      [Symbol.dispose]: () => void this.open--,
    };
  };

  openEcho = (address: Ipv4): EchoSocket => {
    if (!this.hasIcmp) throw new SystemCallError("open", ERRNO.EPERM);
    this.open++;
    return {
      descriptor: 4,
      send: (to, nonce, packetBytes) =>
        this.#send({ way: "icmp", from: address, to, nonce, packetBytes }),
      receive: () => this.#take(this.#replies),
      [Symbol.dispose]: () => void this.open--,
    };
  };

  watch = (): FakeDescriptorWatch => {
    this.#watch = new FakeDescriptorWatch(1);
    this.#watch.setReady(0, this.unread > 0);
    return this.#watch;
  };

  #send(sent: SentProbe): number {
    if (this.sendError !== undefined) return -this.sendError;
    this.sent.push(sent);
    this.onSend(sent);
    return sent.packetBytes;
  }

  #take<Item>(from: Item[]): Item | undefined {
    const item = from.shift();
    if (this.unread === 0) this.#watch?.setReady(0, false);
    return item;
  }
}
