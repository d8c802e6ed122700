/**
 * A lock that belongs to a network namespace.
 *
 * @module
 */

import { ERRNO, SystemCallError } from "./errno.ts";
import { addressOf, checked, libc } from "./libc.ts";
import { encodeSocketAddress } from "./unix_datagram.ts";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;

/**
 * A name in the abstract namespace of unix sockets, which is separate for each
 * network namespace (unix(7)). Nothing is sent there; the kernel releases the
 * name when the process ends in any way.
 */
export class NamespaceLock implements Disposable {
  #socket: number;

  private constructor(socket: number) {
    this.#socket = socket;
  }

  /**
   * @param name at most 107 bytes.
   * @returns `undefined` if another process, or this one, holds it.
   * @throws {SystemCallError}
   */
  static acquire(name: string): NamespaceLock | undefined {
    const what = `take the name @${name}`;
    const socket = checked(
      libc().socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0),
      what,
    );
    const address = encodeSocketAddress(`@${name}`);
    try {
      checked(
        libc().bind(socket, addressOf(address), address.byteLength),
        what,
      );
      return new NamespaceLock(socket);
    } catch (error) {
      libc().close(socket);
      const isHeld = error instanceof SystemCallError &&
        error.errno === ERRNO.EADDRINUSE;
      if (isHeld) return undefined;
      throw error;
    }
  }

  /** Of its socket, by which the kernel's lists name it. */
  get inode(): number {
    const link = Deno.readLinkSync(`/proc/self/fd/${this.#socket}`);
    return Number(/[0-9]+/.exec(link)![0]);
  }

  [Symbol.dispose](): void {
    if (this.#socket < 0) return;
    libc().close(this.#socket);
    this.#socket = -1;
  }
}
