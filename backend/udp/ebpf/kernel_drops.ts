/**
 * What the programs drop, while the agent asks: `programs/record_drop.ts`.
 *
 * @module
 */

import type { Bpf, RingReader } from "../../../linux/bpf/bpf.ts";
import { BpfError, ProgramRefusedError } from "../../../linux/bpf/errors.ts";
import { mov, R1, R6, R8 } from "../../../linux/bpf/instructions.ts";
import { ERRNO } from "../../../linux/errno.ts";
import {
  type DroppedPacket,
  type DropReader,
  ipHeaderBytes,
  isDropCounter,
  type PacketFlow,
  readFlow,
} from "../../../net/dropped_packet.ts";
import { PROGRAM_COUNTERS } from "./counters.ts";
import {
  decodeDropRecord,
  DROP_MAPS,
  type DropRecord,
  listenerValue,
} from "./drop_maps.ts";
import type { Maps } from "./maps.ts";
import {
  ETHERNET,
  ETHERTYPE_IPV4,
  PROTOCOL,
  UDP,
  VERDICT,
} from "./programs/layout.ts";
import { dropEnd } from "./programs/record_drop.ts";

/**
 * So long do programs record after the agent was killed, or has come to a halt.
 */
const ASKS_NS = 5_000_000_000n;
/** Then it asks again. */
const ASKS_AGAIN_NS = 4_000_000_000n;
/** More than there can be between two reads: `drop_maps.ts`. */
const MOST_RECORDS = 1_024;
const LISTENER_KEY = new Uint8Array(4);

/** What it needs. */
export interface KernelDropsParts {
  readonly bpf: Bpf;
  readonly maps: Required<Pick<Maps, "loden_listener" | "loden_drops">>;
  /** Nanoseconds of CLOCK_BOOTTIME. */
  readonly bootTimeNs: () => bigint;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** `undefined` if there is no such device any more. */
  readonly deviceName: (interfaceIndex: number) => string | undefined;
  /** UDP, of outer packets. */
  readonly port: number;
}

/** See the module. */
export class KernelDrops implements DropReader, Disposable {
  readonly reasons: readonly string[] = PROGRAM_COUNTERS.filter(isDropCounter);
  readonly link = "ethernet";
  readonly #parts: KernelDropsParts;
  #ring: RingReader | undefined;
  #askedUntilNs = 0n;

  constructor(parts: KernelDropsParts) {
    this.#parts = parts;
  }

  read(): DroppedPacket[] {
    const { bootTimeNs, bpf, maps, now } = this.#parts;
    const nowNs = bootTimeNs();
    if (this.#ring === undefined) {
      this.#ring = bpf.mapRing(maps.loden_drops);
      // What was recorded for an earlier listener.
      this.#ring.discard();
    }
    if (nowNs + ASKS_AGAIN_NS > this.#askedUntilNs) {
      this.#askedUntilNs = nowNs + ASKS_NS;
      this.#ask(this.#askedUntilNs);
    }
    const nowMs = now();
    return this.#ring.read(MOST_RECORDS).flatMap((bytes) => {
      const record = decodeDropRecord(bytes);
      if (record?.reason === undefined) return [];
      const ageMs = Number(nowNs - record.timeNs) / 1_000_000;
      return [this.#describe(record, record.reason, nowMs - ageMs)];
    });
  }

  end(): void {
    this.#askedUntilNs = 0n;
    if (this.#ring === undefined) return;
    this.#ask(0n);
    this.#ring[Symbol.dispose]();
    this.#ring = undefined;
  }

  [Symbol.dispose](): void {
    this.end();
  }

  #ask(untilNs: bigint): void {
    this.#parts.maps.loden_listener.update(
      LISTENER_KEY,
      listenerValue(untilNs),
    );
  }

  #describe(
    { frame, interfaceIndex, lengthBytes }: DropRecord,
    reason: string,
    timeMs: number,
  ): DroppedPacket {
    const { deviceName, port } = this.#parts;
    return {
      timeMs,
      reason,
      device: deviceName(interfaceIndex) ?? `interface ${interfaceIndex}`,
      lengthBytes,
      link: "ethernet",
      bytes: frame,
      ...flowsOf(frame, { received: reason.startsWith("rx."), port }),
    };
  }
}

/**
 * Whether this kernel has ring buffers and its verifier accepts the programs'
 * part that writes to one. Throws {@linkcode BpfError} if it does not say.
 */
export function canRecordDrops(bpf: Bpf): boolean {
  try {
    using drops = bpf.createMap(DROP_MAPS.loden_drops);
    using listener = bpf.createMap(DROP_MAPS.loden_listener);
    using _program = bpf.loadProgram({
      name: "loden_record",
      type: "schedCls",
      maps: { loden_drops: drops, loden_listener: listener },
      build: () => [
        mov(R6, R1),
        mov(R8, 0),
        ...dropEnd({ recordsDrops: true }, VERDICT.DROP),
      ],
    });
    return true;
  } catch (error) {
    if (error instanceof ProgramRefusedError) return false;
    if (error instanceof BpfError && error.errno === ERRNO.EINVAL) return false;
    throw error;
  }
}

/**
 * A packet that was received is inside another one, unless its outer headers
 * had been removed already.
 */
function flowsOf(
  frame: Uint8Array,
  { port, received }: { readonly port: number; readonly received: boolean },
): { outer?: PacketFlow; inner?: PacketFlow } {
  if (frame.length < ETHERNET.BYTES) return {};
  const type = new DataView(frame.buffer, frame.byteOffset)
    .getUint16(ETHERNET.TYPE);
  if (type !== ETHERTYPE_IPV4) return {};
  const packet = frame.subarray(ETHERNET.BYTES);
  const flow = readFlow(packet);
  if (flow === undefined) return {};
  const isOuter = received && flow.protocol === PROTOCOL.UDP &&
    flow.destinationPort === port;
  if (!isOuter) return { inner: flow };
  const inner = readFlow(packet.subarray(ipHeaderBytes(packet) + UDP.BYTES));
  return { outer: flow, ...inner === undefined ? {} : { inner } };
}
