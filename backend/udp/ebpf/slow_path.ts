/**
 * The slow path: the few underlay packets that no program can handle, because
 * they are fragmented or have IP options.
 *
 * They arrive at a socket, which also reserves the port. The same rules apply:
 * the ingress program itself runs on a frame built from the packet
 * (`BPF_PROG_TEST_RUN`), checks and counts it, and returns the decapsulated
 * frame, which is sent into the overlay through the hop.
 *
 * Errors that the socket receives show the path MTU, and a firewall that refuses
 * the packets.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError } from "../../../errors.ts";
import type { DescriptorWaiter } from "../../../linux/descriptor_watch.ts";
import type { Bpf, BpfProgram } from "../../../linux/bpf/bpf.ts";
import { type Clock, slept } from "../../../linux/clock.ts";
import { ERRNO } from "../../../linux/errno.ts";
import type { PacketPort } from "../../../linux/packet_socket.ts";
import type {
  UnderlayDatagram,
  UnderlayError,
  UnderlaySocket,
} from "../../../linux/underlay_socket.ts";
import { internetChecksum } from "../../../net/checksum.ts";
import { formatIpv4, type Ipv4 } from "../../../net/ipv4.ts";
import {
  DONT_FRAGMENT,
  ETHERNET,
  ETHERTYPE_IPV4,
  INNER_IP,
  IPV4,
  OUTER_IP,
  OUTER_UDP,
  PLAIN_IPV4,
  PROTOCOL,
  SKB,
  SKB_BYTES,
  UDP,
  VERDICT,
} from "./programs/layout.ts";
import { HASHED_PORTS } from "./source_port_choice.ts";

const log = getLogger(["loden", "backend"]);

/**
 * A test run accepts at most a page minus the kernel's own needs. Of a longer
 * packet, the program sees only the beginning.
 */
const SEEN_BYTES = 2048;
/** Packets per turn; then the rest of the agent continues. */
const BATCH = 64;
const PAUSE_MS = 20;
/** Pause after a failure, which may last. */
const FAILURE_PAUSE_MS = 1_000;
const TTL = 64;
/** Anyone can forge an error: one line an hour. */
const REFUSAL_REST_MS = 3_600_000;
/** ICMP codes "prohibited" by an administrator: RFC 1812, section 5.2.7.1. */
const PROHIBITED_CODES: ReadonlySet<number | undefined> = new Set([9, 10, 13]);
const PORT_UNREACHABLE_CODE = 3;

/** What the slow path needs. */
export interface SlowPathParts {
  readonly socket: UnderlaySocket;
  /** Watches the socket's descriptor. */
  readonly watch: DescriptorWaiter;
  readonly packets: PacketPort;
  readonly bpf: Bpf;
  readonly clock: Pick<Clock, "sleep" | "monotonic">;
}

/** A packet of the overlay, and its sender. */
export type SentPacket = Pick<
  UnderlayDatagram,
  "payload" | "address" | "port"
>;

/** The data path that it belongs to. */
export interface SlowPathTarget {
  readonly underlayAddress: Ipv4;
  readonly port: number;
  /** Whether outer packets leave from `port` or from one per flow. */
  readonly sourcePort: "hash" | "fixed";
  /** The overlay device's MTU, the largest packet that it accepts. */
  readonly mtuBytes: number;
  /** The program that judges packets; `undefined` if none is loaded. */
  readonly ingress: BpfProgram | undefined;
  /**
   * The MAC address of a device through which peers are reached; `undefined` if
   * it is another one.
   */
  underlayMac(interfaceIndex: number): Uint8Array | undefined;
  /** Where a frame is sent to enter the overlay device. */
  readonly hop: { readonly interfaceIndex: number };
  /** Whether packets are sent to an address. */
  isPeer(address: Ipv4): boolean;
  /**
   * The path MTU of a peer is smaller than known; returns whether that is new.
   */
  onPathMtu(address: Ipv4, port: number): boolean;
}

/** Their names are an interface: `docs/datapath.md`. */
export const SLOW_PATH_COUNTERS = [
  "rx.slow.packets",
  "rx.slow.drop.otherDevice",
  "rx.slow.drop.tooBig",
  "rx.slow.drop.device",
  "rx.slow.drop.socketFull",
  "tx.pathMtuLearned",
] as const;

/** See the module. */
export class SlowPath {
  readonly #parts: SlowPathParts;
  readonly #target: SlowPathTarget;
  readonly #stopping = new AbortController();
  /** The last failure's message; a lasting failure is logged once. */
  #reported: string | undefined;
  #refusalUntilMs = -Infinity;
  #packets = 0;
  #fromOtherDevices = 0;
  #tooBig = 0;
  #refusedByDevice = 0;
  #pathMtus = 0;

  constructor(parts: SlowPathParts, target: SlowPathTarget) {
    this.#parts = parts;
    this.#target = target;
  }

  /** Runs until the watch is stopped; resolves then. */
  async run(): Promise<void> {
    const { watch } = this.#parts;
    while (!watch.stopped) {
      let pauseMs = 0;
      try {
        await watch.wait();
        if (watch.stopped) return;
        if (this.#drain()) pauseMs = PAUSE_MS;
      } catch (error) {
        this.#report(describeError(error));
        pauseMs = FAILURE_PAUSE_MS;
      }
      if (pauseMs > 0) {
        await slept(this.#parts.clock, pauseMs, this.#stopping.signal);
      }
    }
  }

  /** Ends {@linkcode SlowPath.run}. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#parts.watch.stop();
  }

  #report(reason: string): void {
    if (reason === this.#reported) return;
    this.#reported = reason;
    log.warn("slow path cannot receive packets", {
      event: "backend.slow-path-failed",
      reason,
    });
  }

  counters(): Record<typeof SLOW_PATH_COUNTERS[number], number> {
    const { truncated, dropped } = this.#parts.socket;
    return {
      "rx.slow.packets": this.#packets,
      "rx.slow.drop.otherDevice": this.#fromOtherDevices,
      "rx.slow.drop.tooBig": this.#tooBig,
      "rx.slow.drop.device": this.#refusedByDevice,
      "rx.slow.drop.socketFull": truncated + dropped,
      "tx.pathMtuLearned": this.#pathMtus,
    };
  }

  /** Returns whether there may be more. */
  #drain(): boolean {
    const { socket } = this.#parts;
    for (let count = 0; count < BATCH; count++) {
      const error = socket.receiveError();
      const datagram = socket.receive();
      if (error === undefined && datagram === undefined) return false;
      if (error?.errno === ERRNO.EMSGSIZE) {
        if (this.#target.onPathMtu(error.address, error.port)) this.#pathMtus++;
      } else if (error !== undefined) this.#lookForFirewall(error);
      if (datagram !== undefined) this.#deliver(datagram);
      this.#reported = undefined;
    }
    return true;
  }

  #lookForFirewall(error: UnderlayError): void {
    const { port, sourcePort } = this.#target;
    const { address, reporter, unreachableCode } = error;
    if (reporter === undefined || error.port !== port) return;
    // "Port unreachable" from the peer itself: no agent runs there.
    const isFirewall = PROHIBITED_CODES.has(unreachableCode) ||
      (unreachableCode === PORT_UNREACHABLE_CODE && reporter !== address);
    if (!isFirewall || !this.#target.isPeer(address)) return;
    const nowMs = this.#parts.clock.monotonic();
    if (nowMs < this.#refusalUntilMs) return;
    this.#refusalUntilMs = nowMs + REFUSAL_REST_MS;
    log.warn("a firewall refuses packets to a peer", {
      event: "backend.packets-refused",
      peer: formatIpv4(address),
      firewall: formatIpv4(reporter),
      hint: sourcePort === "hash"
        ? `accept UDP from ports ${HASHED_PORTS} to port ${port}, or use --source-port=fixed on all hosts`
        : `accept UDP port ${port}`,
    });
  }

  #deliver(datagram: UnderlayDatagram): void {
    const { ingress, hop, mtuBytes } = this.#target;
    if (ingress === undefined) return;
    this.#packets++;
    // The socket receives from every device: a container with raw sockets could
    // pose as a peer.
    const { interfaceIndex } = datagram;
    const mac = this.#target.underlayMac(interfaceIndex);
    if (mac === undefined) {
      this.#fromOtherDevices++;
      return;
    }
    const { returnValue, data } = this.#parts.bpf.testRun(ingress, {
      data: frameOf(shortened(datagram), this.#target, mac),
      context: arrivedBy(interfaceIndex),
    });
    if (returnValue !== VERDICT.REDIRECT) return;
    const { payload } = datagram;
    if (payload.length > mtuBytes) {
      this.#tooBig++;
      return;
    }
    const frame = new Uint8Array(ETHERNET.BYTES + payload.length);
    frame.set(data.subarray(0, ETHERNET.BYTES));
    frame.set(payload, ETHERNET.BYTES);
    const sent = this.#parts.packets.sendFrame(hop.interfaceIndex, frame);
    if (sent < 0) this.#refusedByDevice++;
  }
}

/**
 * A shortened datagram that fits a test run and must be judged alike: its inner
 * length field is exactly as right or wrong.
 */
export function shortened<Sent extends SentPacket>(datagram: Sent): Sent {
  const { payload } = datagram;
  if (payload.length <= SEEN_BYTES) return datagram;
  const short = payload.slice(0, SEEN_BYTES);
  const view = new DataView(short.buffer);
  const length = view.getUint16(IPV4.TOTAL_LENGTH);
  const shorter = (length - (payload.length - SEEN_BYTES)) & 0xffff;
  view.setUint16(IPV4.TOTAL_LENGTH, shorter);
  // RFC 1624, equation 3: a wrong checksum stays wrong.
  const sum = (~view.getUint16(IPV4.CHECKSUM) & 0xffff) + (~length & 0xffff) +
    shorter;
  const folded = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(IPV4.CHECKSUM, ~(folded + (folded >>> 16)) & 0xffff);
  return { ...datagram, payload: short };
}

/**
 * The datagram as if it had arrived unfragmented and without options. The MAC
 * addresses are 0, those of the device of a test run.
 */
export function frameOf(
  { payload, address, port }: SentPacket,
  to: { readonly underlayAddress: Ipv4; readonly port: number },
  mac: Uint8Array = new Uint8Array(6),
): Uint8Array {
  const frame = new Uint8Array(INNER_IP + payload.length);
  const view = new DataView(frame.buffer);
  frame.set(mac, ETHERNET.DESTINATION);
  view.setUint16(ETHERNET.TYPE, ETHERTYPE_IPV4);
  view.setUint8(OUTER_IP, PLAIN_IPV4);
  view.setUint16(
    OUTER_IP + IPV4.TOTAL_LENGTH,
    IPV4.BYTES + UDP.BYTES + payload.length,
  );
  view.setUint16(OUTER_IP + IPV4.FRAGMENT, DONT_FRAGMENT);
  view.setUint8(OUTER_IP + IPV4.TTL, TTL);
  view.setUint8(OUTER_IP + IPV4.PROTOCOL, PROTOCOL.UDP);
  view.setUint32(OUTER_IP + IPV4.SOURCE, address);
  view.setUint32(OUTER_IP + IPV4.DESTINATION, to.underlayAddress);
  view.setUint16(
    OUTER_IP + IPV4.CHECKSUM,
    internetChecksum(frame.subarray(OUTER_IP, OUTER_UDP)),
  );
  view.setUint16(OUTER_UDP + UDP.SOURCE, port);
  view.setUint16(OUTER_UDP + UDP.DESTINATION, to.port);
  view.setUint16(OUTER_UDP + UDP.LENGTH, UDP.BYTES + payload.length);
  frame.set(payload, INNER_IP);
  return frame;
}

/** `struct __sk_buff` of a packet that arrived by a device. */
function arrivedBy(interfaceIndex: number): Uint8Array {
  const context = new Uint8Array(SKB_BYTES);
  new DataView(context.buffer).setUint32(SKB.INTERFACE, interfaceIndex, true);
  return context;
}
