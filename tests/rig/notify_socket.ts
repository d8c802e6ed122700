/**
 * The receiving end of systemd's readiness protocol, sd_notify(3): a unix
 * datagram socket. Deno has those only behind an unstable flag.
 *
 * @module
 */

import { addressOf, checked, errno, libc } from "../../linux/libc.ts";
import { ERRNO, SystemCallError } from "../../linux/errno.ts";

const AF_UNIX = 1;
const SOCK_DGRAM_NONBLOCK_CLOEXEC = 2 | 0o4000 | 0o2000000;
/** sizeof(sun_path), its final NUL included: linux/un.h. */
const PATH_BYTES = 108;

/** asm-generic/socket.h; the second is a control message's type, too. */
const SOL_SOCKET = 1;
const SO_TIMESTAMP = 29;
/** struct msghdr: name and its length, iovec and count, control and length, flags. */
const MSGHDR = { BYTES: 56, IOVEC: 16, COUNT: 24, CONTROL: 32, LENGTH: 40 };
/** A header (16 bytes) and a struct timeval. */
const CONTROL_BYTES = 32;

/** What came, and when the kernel had it, in milliseconds of the wall clock. */
export interface TimedNotification {
  readonly text: string;
  readonly atMs: number;
}

/** A socket for `NOTIFY_SOCKET`. */
export class NotifySocket implements Disposable {
  readonly path: string;
  readonly #descriptor: number;
  readonly #buffer = new Uint8Array(4096);
  readonly #header = new DataView(new ArrayBuffer(MSGHDR.BYTES));
  readonly #headerAddress = addressOf(this.#header);
  readonly #iovec = new BigUint64Array(2);
  readonly #control = new DataView(new ArrayBuffer(CONTROL_BYTES));
  readonly #received: TimedNotification[] = [];
  #closed = false;

  /** Binds `path`, which must not exist. */
  constructor(path: string) {
    this.path = path;
    const name = new TextEncoder().encode(path);
    if (name.length >= PATH_BYTES) {
      throw new RangeError(
        `Cannot bind a unix socket: its path must be shorter than ` +
          `${PATH_BYTES} bytes: current value is ${path}`,
      );
    }
    const address = new Uint8Array(2 + PATH_BYTES);
    address[0] = AF_UNIX;
    address.set(name, 2);
    this.#descriptor = checked(
      libc().socket(AF_UNIX, SOCK_DGRAM_NONBLOCK_CLOEXEC, 0),
      "make a notify socket",
    );
    checked(
      libc().bind(this.#descriptor, addressOf(address), 3 + name.length),
      `bind the notify socket ${path}`,
    );
    const one = Int32Array.of(1);
    checked(
      libc().setsockopt(
        this.#descriptor,
        SOL_SOCKET,
        SO_TIMESTAMP,
        addressOf(one),
        4,
      ),
      "ask for the time of notifications",
    );
    this.#iovec.set([
      BigInt(addressOf(this.#buffer)),
      BigInt(this.#buffer.length),
    ]);
    const pointer = (at: number, value: number) =>
      this.#header.setBigUint64(at, BigInt(value), true);
    pointer(MSGHDR.IOVEC, addressOf(this.#iovec));
    pointer(MSGHDR.COUNT, 1);
    pointer(MSGHDR.CONTROL, addressOf(this.#control));
  }

  /** Every assignment received so far, in order, e.g. `READY=1`. */
  messages(): readonly string[] {
    return this.timed().map(({ text }) => text);
  }

  /** The same with the time of each. */
  timed(): readonly TimedNotification[] {
    while (!this.#closed) {
      this.#header.setBigUint64(MSGHDR.LENGTH, BigInt(CONTROL_BYTES), true);
      const length = libc().recvmsg(this.#descriptor, this.#headerAddress, 0);
      if (length < 0) {
        const number = errno();
        if (number === ERRNO.EAGAIN) return this.#received;
        throw new SystemCallError("receive a notification", number);
      }
      const text = new TextDecoder().decode(this.#buffer.subarray(0, length));
      const atMs = Number(this.#control.getBigInt64(16, true)) * 1_000 +
        Number(this.#control.getBigInt64(24, true)) / 1_000;
      this.#received.push(
        ...text.split("\n").filter((line) => line !== "")
          .map((line) => ({ text: line, atMs })),
      );
    }
    return this.#received;
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    libc().close(this.#descriptor);
    Deno.removeSync(this.path);
  }
}
