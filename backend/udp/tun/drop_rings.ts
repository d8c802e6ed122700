/**
 * The main thread's side of the rings in which workers keep the beginnings of
 * packets that they drop, while there is a listener.
 *
 * @module
 */

import { COUNTER_NAMES } from "./counters.ts";
import * as layout from "./layout.ts";

/** A record as a value. */
export interface RecordedDrop {
  /** The name of the counter. */
  readonly reason: string;
  readonly lengthBytes: number;
  /** Underlay address of the other host, host byte order; 0 if there is none. */
  readonly peer: number;
  /** The device by which it came; 0 if not known, or if it was sent. */
  readonly interfaceIndex: number;
  /** The packet's first bytes. */
  readonly bytes: Uint8Array;
}

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(COUNTER_NAMES).map(([name, number]) => [number, name]),
);

/** Tells the workers whether to record. */
export function recordDrops(memory: ArrayBufferLike, on: boolean): void {
  const words = new Uint32Array(memory);
  Atomics.store(words, layout.CONTROL_RECORD_DROPS >> 2, Number(on));
}

/** Takes what there is, and makes room for as much. */
export function takeDrops(memory: ArrayBufferLike): RecordedDrop[] {
  const drops = [layout.DROPS_TX, layout.DROPS_RX]
    .flatMap((ring) => takeRing(memory, ring));
  new Uint32Array(memory, layout.DROPS_TAKEN, layout.COUNTER_COUNT).fill(0);
  return drops;
}

function takeRing(memory: ArrayBufferLike, ring: number): RecordedDrop[] {
  const words = new Uint32Array(memory);
  const view = new DataView(memory);
  const readAt = (ring + layout.DROPS_READ) >> 2;
  const written = Atomics.load(words, (ring + layout.DROPS_WRITTEN) >> 2);
  const drops: RecordedDrop[] = [];
  let read = Atomics.load(words, readAt);
  for (; read !== written; read = (read + 1) >>> 0) {
    const record = ring + layout.DROPS_FIRST +
      (read % layout.DROPS_SLOTS) * layout.DROP_STRIDE;
    const word = (offset: number) => view.getUint32(record + offset, true);
    const captured = Math.min(
      word(layout.DROP_CAPTURED),
      layout.DROP_CAPTURE_BYTES,
    );
    drops.push({
      reason: NAMES.get(word(layout.DROP_REASON)) ?? "unknown",
      lengthBytes: word(layout.DROP_LENGTH),
      peer: word(layout.DROP_PEER),
      interfaceIndex: word(layout.DROP_INTERFACE),
      // A copy, in memory that is not shared.
      bytes: new Uint8Array(memory, record + layout.DROP_DATA, captured)
        .slice(),
    });
  }
  Atomics.store(words, readAt, read);
  return drops;
}
