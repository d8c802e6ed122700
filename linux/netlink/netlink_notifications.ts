/**
 * Notifications of the kernel to the multicast groups of a netlink family.
 *
 * @module
 */

import { DescriptorWatch } from "../descriptor_watch.ts";
import { ERRNO } from "../errno.ts";
import { addressOf, checked, errno, libc } from "../libc.ts";
import { type NetlinkFamily, openNetlinkSocket } from "./netlink_socket.ts";

/**
 * `struct nlmsghdr` (16 bytes), and the first 8 of the family's own header, where
 * links and neighbours have the index of their device.
 */
const HEADER_BYTES = 24;
const TYPE_OFFSET = 4;
const PORT_OFFSET = 12;
const INDEX_OFFSET = 20;

/** Notifications that are read before the caller has a turn: a few ms. */
const READS_PER_TURN = 4096;
const MSG_DONTWAIT = 0x40;

/**
 * Whether a notification is news: its `nlmsg_type`, the port of the socket that
 * asked for the change (0: the kernel's own), and of a link or a neighbour the
 * index of its device.
 */
export type NotificationFilter = (
  type: number,
  portId: number,
  interfaceIndex: number,
) => boolean;

/** What came since the last time. */
export interface Notifications {
  /** `nlmsg_type` of each notification, without order or number. */
  readonly types: ReadonlySet<number>;
  /** Whether the kernel had to drop some: anything may have changed. */
  readonly lost: boolean;
}

/**
 * A netlink socket in the network namespace of the thread that made it. While
 * `arrivals` waits it holds a thread of Deno's pool.
 */
export class NetlinkNotifications implements Disposable {
  #descriptor: number;
  readonly #header = new DataView(new ArrayBuffer(HEADER_BYTES));
  readonly #headerAddress = addressOf(this.#header);
  readonly #isNews: NotificationFilter;

  /**
   * @param groups a bit for each group.
   *
   * Throws {@linkcode SystemCallError} when there can be no socket.
   */
  constructor(
    family: NetlinkFamily,
    groups: number,
    isNews: NotificationFilter = () => true,
  ) {
    this.#isNews = isNews;
    this.#descriptor = openNetlinkSocket(groups, family);
  }

  /**
   * What comes, many at once, from the making of the socket on; ends when
   * `signal` is aborted. One loop at a time; dispose of the socket after it.
   *
   * Throws {@linkcode SystemCallError}.
   */
  async *arrivals(signal: AbortSignal): AsyncGenerator<Notifications> {
    const watch = new DescriptorWatch([this.#descriptor]);
    const stop = () => watch.stop();
    signal.addEventListener("abort", stop, { once: true });
    try {
      while (!signal.aborted) {
        await watch.wait();
        if (signal.aborted) return;
        yield this.#read();
      }
    } finally {
      signal.removeEventListener("abort", stop);
      await watch.stop();
    }
  }

  /** Empties the socket. */
  #read(): Notifications {
    const types = new Set<number>();
    let lost = false;
    for (let reads = 0; reads < READS_PER_TURN; reads++) {
      // Each notification is a datagram; its header alone says what it is about.
      const length = libc().recv(
        this.#descriptor,
        this.#headerAddress,
        HEADER_BYTES,
        MSG_DONTWAIT,
      );
      if (length < 0) {
        const number = errno();
        if (number === ERRNO.EAGAIN) break;
        if (number === ERRNO.EINTR) continue;
        if (number !== ERRNO.ENOBUFS) checked(length, "read a notification");
        lost = true;
        continue;
      }
      const type = this.#header.getUint16(TYPE_OFFSET, true);
      const portId = this.#header.getUint32(PORT_OFFSET, true);
      const interfaceIndex = this.#header.getInt32(INDEX_OFFSET, true);
      if (this.#isNews(type, portId, interfaceIndex)) types.add(type);
    }
    return { types, lost };
  }

  [Symbol.dispose](): void {
    if (this.#descriptor < 0) return;
    libc().close(this.#descriptor);
    this.#descriptor = -1;
  }
}
