/**
 * Whether the kernel's clock follows a time server: adjtimex(2).
 *
 * @module
 */

import { addressOf, checked, libc } from "./libc.ts";

/** What the kernel has been told about its clock. */
export interface ClockSync {
  /** Whether a program such as chrony keeps it. */
  readonly synchronized: boolean;
  /** The most that it can be wrong, as that program has said. */
  readonly maxErrorMs: number;
}

/** `struct timex`, `linux/timex.h`, 64 bits. */
const TIMEX_BYTES = 208;
const MAXERROR_OFFSET = 24;
const STATUS_OFFSET = 40;
/** STA_UNSYNC. */
const UNSYNCHRONIZED = 0x40;

/** Reads it; nothing is adjusted. @throws {SystemCallError} */
export function readClockSync(): ClockSync {
  // `modes` is 0: no field is set.
  const timex = new Uint8Array(TIMEX_BYTES);
  checked(libc().adjtimex(addressOf(timex)), "read the state of the clock");
  const view = new DataView(timex.buffer);
  const status = view.getInt32(STATUS_OFFSET, true);
  return {
    synchronized: (status & UNSYNCHRONIZED) === 0,
    maxErrorMs: Number(view.getBigInt64(MAXERROR_OFFSET, true)) / 1_000,
  };
}
