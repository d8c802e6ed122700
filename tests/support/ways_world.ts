/**
 * Programs on test packets, and what they know of the way to one peer.
 *
 * @module
 */

import { assert } from "@std/assert";
import { WAY } from "../../backend/udp/ebpf/maps.ts";
import { bootTimeNs } from "../../linux/boot_clock.ts";
import { type ProgramPeer, ProgramWorld } from "./program_world.ts";

/** The peer's place in the map of ways. */
export const SLOT = 1;
const KEY = new Uint8Array(Uint32Array.of(SLOT).buffer);

/** Times, in nanoseconds of the boot clock; 0: never. */
export type Way = Record<"TO_UNTIL" | "FROM_UNTIL" | "PROBE_FROM", bigint>;
export const UNKNOWN: Way = { TO_UNTIL: 0n, FROM_UNTIL: 0n, PROBE_FROM: 0n };

/** See the module. */
export class WaysWorld extends ProgramWorld {
  constructor(
    holder: ProgramPeer,
    host: ConstructorParameters<typeof ProgramWorld>[0] = {},
  ) {
    super({ findWholeWays: true, ...host }, [holder]);
  }

  know(way: Partial<Way>): void {
    const view = new DataView(new ArrayBuffer(WAY.BYTES));
    for (const [name, ns] of Object.entries({ ...UNKNOWN, ...way })) {
      view.setBigUint64(WAY[name as keyof Way], ns, true);
    }
    this.maps.loden_ways.update(KEY, new Uint8Array(view.buffer));
  }

  known(): Way {
    const value = this.maps.loden_ways.lookup(KEY)!;
    const view = new DataView(value.buffer, value.byteOffset);
    const at = (offset: number) => view.getBigUint64(offset, true);
    return {
      TO_UNTIL: at(WAY.TO_UNTIL),
      FROM_UNTIL: at(WAY.FROM_UNTIL),
      PROBE_FROM: at(WAY.PROBE_FROM),
    };
  }
}

/** An hour from now. */
export function later(): bigint {
  return bootTimeNs() + 3_600_000_000_000n;
}

/** A time that was set, to so many milliseconds after a moment of the last second. */
export function assertSet(ns: bigint, milliseconds: bigint): void {
  // A test's clock may tell hundredths of a second only.
  const latest = bootTimeNs() + (milliseconds + 20n) * 1_000_000n;
  assert(ns > latest - 1_000_000_000n && ns <= latest, `${ns}, not ${latest}`);
}
