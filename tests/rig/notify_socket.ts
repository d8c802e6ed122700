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

/** A socket for `NOTIFY_SOCKET`. */
export class NotifySocket implements Disposable {
  readonly path: string;
  readonly #descriptor: number;
  readonly #buffer = new Uint8Array(4096);
  readonly #bufferAddress = addressOf(this.#buffer);
  readonly #received: string[] = [];
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
  }

  /** Every assignment received so far, in order, e.g. `READY=1`. */
  messages(): readonly string[] {
    while (!this.#closed) {
      const length = libc().recv(
        this.#descriptor,
        this.#bufferAddress,
        this.#buffer.length,
        0,
      );
      if (length < 0) {
        const number = errno();
        if (number === ERRNO.EAGAIN) return this.#received;
        throw new SystemCallError("receive a notification", number);
      }
      const text = new TextDecoder().decode(this.#buffer.subarray(0, length));
      this.#received.push(...text.split("\n").filter((line) => line !== ""));
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
