/**
 * Waits for several descriptors, and for a wake-up from another thread.
 *
 * @module
 */

import { addressOf, checked, errno, libc } from "./libc.ts";
import { ERRNO } from "./errno.ts";

const POLLIN = 0x001;
const POLLOUT = 0x004;
const POLLERR = 0x008;
const POLLNVAL = 0x020;
const EFD_CLOEXEC = 0x80000;
const EFD_NONBLOCK = 0x800;
/** struct pollfd: int fd, short events, short revents. */
const POLLFD_BYTES = 8;

/** An eventfd (man 2 eventfd). */
export function openEventDescriptor(): number {
  return checked(
    libc().eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
    "create an event descriptor",
  );
}

/** Makes an eventfd readable, which wakes every thread that polls it. */
export function signalEvent(descriptor: number): void {
  const one = BigUint64Array.of(1n);
  checked(
    libc().write(descriptor, addressOf(one), 8),
    "wake the data path",
  );
}

/** Makes an eventfd unreadable again. */
export function clearEvent(descriptor: number): void {
  const value = new BigUint64Array(1);
  libc().read(descriptor, addressOf(value), 8);
}

/** What a wait found, in the order in which the descriptors were given. */
export interface Poller {
  /**
   * Waits until a descriptor is readable or broken; negative: for ever. Returns
   * how many are.
   */
  wait(timeoutMs: number): number;
  readable(index: number): boolean;
  /** Whether to poll a descriptor; initially all are polled. */
  watch(index: number, watched: boolean): void;
  /**
   * Marks a descriptor as permanently broken, such as that of a deleted TUN.
   */
  broken(index: number): boolean;
}

/** poll(2) over a fixed list of descriptors. */
export class KernelPoller implements Poller {
  readonly #libc = libc();
  readonly #descriptors: readonly number[];
  readonly #entries: Int16Array;
  /** One address: see `PacketMemory.addresses` for why it is kept so. */
  readonly #address: BigUint64Array;
  readonly #count: bigint;

  constructor(descriptors: readonly number[]) {
    this.#descriptors = descriptors;
    this.#count = BigInt(descriptors.length);
    const view = new DataView(
      new ArrayBuffer(descriptors.length * POLLFD_BYTES),
    );
    descriptors.forEach((descriptor, index) => {
      view.setInt32(index * POLLFD_BYTES, descriptor, true);
      view.setInt16(index * POLLFD_BYTES + 4, POLLIN, true);
    });
    this.#entries = new Int16Array(view.buffer);
    this.#address = BigUint64Array.of(BigInt(addressOf(this.#entries)));
  }

  wait(timeoutMs: number): number {
    const ready = this.#libc.poll(this.#address[0]!, this.#count, timeoutMs);
    if (ready >= 0) return ready;
    if (errno() === ERRNO.EINTR) return 0;
    return checked(ready, "wait for packets");
  }

  readable(index: number): boolean {
    return (this.#events(index) & POLLIN) !== 0;
  }

  watch(index: number, watched: boolean): void {
    // poll(2) ignores a negative descriptor and clears its events.
    const descriptor = this.#descriptors[index]!;
    new Int32Array(this.#entries.buffer)[index * 2] = watched
      ? descriptor
      : -1 - descriptor;
  }

  broken(index: number): boolean {
    return (this.#events(index) & (POLLERR | POLLNVAL)) !== 0;
  }

  #events(index: number): number {
    return this.#entries[index * 4 + 3]!;
  }
}

/** Waits until a descriptor can be written to, at most `timeoutMs`. */
export function waitWritable(descriptor: number, timeoutMs: number): void {
  const entry = new Int16Array(4);
  new Int32Array(entry.buffer)[0] = descriptor;
  entry[2] = POLLOUT;
  libc().poll(addressOf(entry), 1, timeoutMs);
}

/** Lets another thread of the same priority run, if one waits. */
export function yieldProcessor(): void {
  libc().sched_yield();
}
