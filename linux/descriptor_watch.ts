/**
 * Waits for descriptors without a Worker: a thread of Deno's pool waits while
 * the caller's thread continues.
 *
 * @module
 */

import { ERRNO, SystemCallError } from "./errno.ts";
import { addressOf, checked, errno, libc } from "./libc.ts";
import { openEventDescriptor, signalEvent } from "./poll.ts";

const POLLIN = 0x001;
const POLLNVAL = 0x020;
/** struct pollfd: int fd, short events, short revents. */
const POLLFD_BYTES = 8;

const SYMBOLS = {
  poll: {
    parameters: ["buffer", "usize", "i32"],
    result: "i32",
    nonblocking: true,
  },
} as const;

type WaitingPoll = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"]["poll"];

let library: WaitingPoll | undefined;

/** poll(2) on a thread of Deno's pool. Its error number stays on that thread. */
function waitingPoll(): WaitingPoll {
  library ??= Deno.dlopen("libc.so.6", SYMBOLS).symbols.poll;
  return library;
}

/** Waiting for descriptors; `fake_descriptor_watch.ts` in the tests is its twin. */
export interface DescriptorWaiter {
  /**
   * Waits until a descriptor is readable or broken, or until `stop`. Returns
   * for each, in the given order, whether it needs attention; `false` for all
   * after `stop`. One wait at a time.
   *
   * A socket with an error in its queue counts as readable until the error is
   * read; otherwise later waits return at once.
   *
   * Throws {@linkcode SystemCallError}, `EBADF` when a descriptor was closed.
   */
  wait(): Promise<boolean[]>;
  /** Whether `stop` was called. */
  readonly stopped: boolean;
  /**
   * Ends a wait, and all later ones at once. When it resolves, no thread uses
   * the descriptors any more, and they may be closed.
   */
  stop(): Promise<void>;
}

/**
 * A fixed list of descriptors, which it does not own. While it waits, it
 * occupies one thread of Deno's pool and keeps the process alive.
 *
 * @example
 * ```ts
 * import { toIpv4 } from "../net/ipv4.ts";
 * import { DescriptorWatch } from "./descriptor_watch.ts";
 * import { KernelUnderlaySocket } from "./underlay_socket.ts";
 * using socket = new KernelUnderlaySocket({
 *   address: toIpv4(0x7f00_0001),
 *   port: 8285,
 * });
 * const watch = new DescriptorWatch([socket.descriptor]);
 * const [readable] = await watch.wait();
 * if (readable) console.log(socket.receiveError(), socket.receive());
 * await watch.stop();
 * ```
 */
export class DescriptorWatch implements DescriptorWaiter {
  readonly #count: number;
  /** The descriptors and the one that ends a wait; a thread may write to it. */
  readonly #entries: DataView<ArrayBuffer>;
  readonly #wakeUp: number;
  #waiting: Promise<unknown> | undefined;
  #end: Promise<void> | undefined;

  /** Throws {@linkcode SystemCallError} when there can be no event descriptor. */
  constructor(descriptors: readonly number[]) {
    this.#count = descriptors.length;
    this.#wakeUp = openEventDescriptor();
    const all = [...descriptors, this.#wakeUp];
    this.#entries = new DataView(new ArrayBuffer(all.length * POLLFD_BYTES));
    all.forEach((descriptor, index) => {
      this.#entries.setInt32(index * POLLFD_BYTES, descriptor, true);
      this.#entries.setInt16(index * POLLFD_BYTES + 4, POLLIN, true);
    });
  }

  get stopped(): boolean {
    return this.#end !== undefined;
  }

  async wait(): Promise<boolean[]> {
    if (this.#waiting !== undefined) {
      throw new TypeError(
        "Cannot wait for descriptors: the wait before must be over: current value is waiting",
      );
    }
    if (this.stopped) return this.#none();
    const bytes = new Uint8Array(this.#entries.buffer);
    const waiting = waitingPoll()(bytes, BigInt(this.#count + 1), -1);
    this.#waiting = waiting;
    let result: number;
    try {
      result = await waiting;
    } finally {
      this.#waiting = undefined;
    }
    if (this.stopped) return this.#none();
    // errno of the failed wait is on the other thread: call poll again on this
    // one to get it.
    if (result < 0) this.#look();
    return this.#findings();
  }

  stop(): Promise<void> {
    this.#end ??= this.#stop();
    return this.#end;
  }

  async #stop(): Promise<void> {
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      signalEvent(this.#wakeUp);
      await waiting;
    }
    libc().close(this.#wakeUp);
  }

  #look(): void {
    const result = libc().poll(addressOf(this.#entries), this.#count + 1, 0);
    if (result < 0 && errno() === ERRNO.EINTR) return;
    checked(result, "wait for descriptors");
  }

  #findings(): boolean[] {
    return this.#none().map((_, index) => {
      const events = this.#entries.getInt16(index * POLLFD_BYTES + 6, true);
      if (events & POLLNVAL) {
        throw new SystemCallError("wait for descriptors", ERRNO.EBADF, {
          detail: `number ${index} of ${this.#count} was closed`,
        });
      }
      return events !== 0;
    });
  }

  #none(): boolean[] {
    return Array.from({ length: this.#count }, () => false);
  }
}
