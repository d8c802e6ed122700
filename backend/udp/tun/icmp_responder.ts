/**
 * Sends ICMP errors to senders of dropped packets.
 *
 * The messages leave through a raw socket, not through the TUN: there they
 * would arrive from outside with an address of the host as their source, and
 * the kernel drops such packets as martians (compat 7.6: flannel's are never
 * delivered).
 *
 * @module
 */

import type { Clock } from "../../../linux/clock.ts";
import type { IcmpPort } from "../../../linux/icmp_socket.ts";
import type { PacketMemory } from "../../../linux/packet_memory.ts";
import {
  icmpError,
  type IcmpErrorKind,
  icmpErrorRecipient,
} from "../../../net/icmp_error.ts";
import { ICMP_FAILED, ICMP_RATE_LIMITED, ICMP_SENT } from "./layout.ts";

/** As the kernel's icmp_msgs_per_sec and icmp_msgs_burst. */
const MESSAGES_PER_SECOND = 1000;
const BURST = 50;

/** What the responder needs. */
export interface IcmpResponderParts {
  readonly memory: PacketMemory;
  readonly port: IcmpPort;
  readonly clock: Pick<Clock, "monotonic">;
  readonly addCount: (counter: number, by: number) => void;
}

/** Answers packets in the shared memory, at a limited rate. */
export class IcmpResponder {
  readonly #parts: IcmpResponderParts;
  #tokens = BURST;
  #lastRefillMs: number;

  constructor(parts: IcmpResponderParts) {
    this.#parts = parts;
    this.#lastRefillMs = parts.clock.monotonic();
  }

  /** No host holds the packet's destination. */
  netUnreachable(packet: number, bytes: number): void {
    this.#answer({ kind: "net-unreachable" }, packet, bytes);
  }

  /** The packet's TTL expired here. */
  timeExceeded(packet: number, bytes: number): void {
    this.#answer({ kind: "time-exceeded" }, packet, bytes);
  }

  /** The packet must not be fragmented and is larger than `mtuBytes`. */
  fragmentationNeeded(packet: number, bytes: number, mtuBytes: number): void {
    this.#answer({ kind: "fragmentation-needed", mtuBytes }, packet, bytes);
  }

  #answer(error: IcmpErrorKind, packet: number, bytes: number): void {
    // A copy, since the FFI takes no views of shared memory and the text of a
    // message is small.
    const copy = this.#parts.memory.bytes.slice(
      packet,
      packet + Math.min(bytes, 576),
    );
    const recipient = icmpErrorRecipient(copy);
    if (recipient === undefined) return;
    if (!this.#takeToken()) {
      this.#parts.addCount(ICMP_RATE_LIMITED, 1);
      return;
    }
    const sent = this.#parts.port.send(recipient, icmpError(error, copy));
    this.#parts.addCount(sent < 0 ? ICMP_FAILED : ICMP_SENT, 1);
  }

  #takeToken(): boolean {
    const now = this.#parts.clock.monotonic();
    this.#tokens = Math.min(
      BURST,
      this.#tokens + (now - this.#lastRefillMs) * MESSAGES_PER_SECOND / 1000,
    );
    this.#lastRefillMs = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
