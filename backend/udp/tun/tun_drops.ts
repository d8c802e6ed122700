/**
 * What the workers drop, while the agent asks.
 *
 * @module
 */

import {
  type DroppedPacket,
  type DropReader,
  isDropCounter,
  readFlow,
} from "../../../net/dropped_packet.ts";
import { type Ipv4, toIpv4 } from "../../../net/ipv4.ts";
import { COUNTER_NAMES } from "./counters.ts";
import type { RecordedDrop } from "./drop_rings.ts";

/** What it needs. */
export interface TunDropsParts {
  /** Takes what was recorded, from now on or since the last call. */
  readonly take: () => readonly RecordedDrop[];
  /** Nothing is recorded any more. */
  readonly end: () => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** `undefined` if there is no such device any more. */
  readonly underlayName: (interfaceIndex: number) => string | undefined;
  /** The overlay device. */
  readonly deviceName: string;
  readonly underlayAddress: Ipv4;
}

/** See the module. */
export class TunDrops implements DropReader {
  readonly reasons: readonly string[] = Object.keys(COUNTER_NAMES)
    .filter(isDropCounter);
  readonly link = "ip";
  readonly #parts: TunDropsParts;

  constructor(parts: TunDropsParts) {
    this.#parts = parts;
  }

  read(): DroppedPacket[] {
    const timeMs = this.#parts.now();
    return this.#parts.take().map((drop) => this.#describe(drop, timeMs));
  }

  end(): void {
    this.#parts.end();
  }

  /** Workers have no clock at hand: the time is that of the look. */
  #describe(drop: RecordedDrop, timeMs: number): DroppedPacket {
    const { bytes, interfaceIndex, lengthBytes, peer, reason } = drop;
    const { deviceName, underlayAddress, underlayName } = this.#parts;
    const received = reason.startsWith("rx.");
    const device = received ? underlayName(interfaceIndex) : deviceName;
    const inner = readFlow(bytes);
    const [source, destination] = received
      ? [toIpv4(peer), underlayAddress]
      : [underlayAddress, toIpv4(peer)];
    return {
      timeMs,
      reason,
      ...device === undefined ? {} : { device },
      lengthBytes,
      link: this.link,
      bytes,
      ...peer === 0 ? {} : { outer: { source, destination } },
      ...inner === undefined ? {} : { inner },
    };
  }
}
