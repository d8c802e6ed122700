/**
 * Notifications of the kernel's about links, addresses and routes.
 *
 * Source: `linux/rtnetlink.h`.
 *
 * @module
 */

import { DescriptorWatch } from "../descriptor_watch.ts";
import { ERRNO } from "../errno.ts";
import { addressOf, checked, errno, libc } from "../libc.ts";
import { openNetlinkSocket } from "./netlink_socket.ts";
import {
  RTNETLINK_TABLES,
  type RtnetlinkMonitor,
  type RtnetlinkTable,
} from "./rtnetlink_monitor.ts";

const RTMGRP_LINK = 0x1;
const RTMGRP_IPV4_IFADDR = 0x10;
const RTMGRP_IPV4_ROUTE = 0x40;

/** `RTM_*` of the notifications in these groups; new and gone of each. */
const TABLE_OF_TYPE: ReadonlyMap<number, RtnetlinkTable> = new Map([
  [16, "links"],
  [17, "links"],
  [20, "addresses"],
  [21, "addresses"],
  [24, "routes"],
  [25, "routes"],
]);

/** Bytes of `struct nlmsghdr`, and where its type lies. */
const HEADER_BYTES = 16;
const TYPE_OFFSET = 4;

/** Notifications that are read before the caller has a turn: a few ms. */
const READS_PER_TURN = 4096;
const MSG_DONTWAIT = 0x40;

/**
 * A netlink socket in the network namespace of the thread that made it. While
 * `changes` waits it holds a thread of Deno's pool.
 *
 * @example
 * ```ts
 * import { KernelRtnetlinkMonitor } from "./kernel_rtnetlink_monitor.ts";
 * using monitor = new KernelRtnetlinkMonitor();
 * for await (const tables of monitor.changes(AbortSignal.timeout(60_000))) {
 *   if (tables.has("links")) console.log("a link has changed");
 * }
 * ```
 */
export class KernelRtnetlinkMonitor implements RtnetlinkMonitor {
  #descriptor: number;
  readonly #header = new DataView(new ArrayBuffer(HEADER_BYTES));
  readonly #headerAddress = addressOf(this.#header);

  /** Throws {@linkcode SystemCallError} when there can be no socket. */
  constructor() {
    this.#descriptor = openNetlinkSocket(
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE,
    );
  }

  async *changes(
    signal: AbortSignal,
  ): AsyncGenerator<ReadonlySet<RtnetlinkTable>> {
    const watch = new DescriptorWatch([this.#descriptor]);
    const stop = () => watch.stop();
    signal.addEventListener("abort", stop, { once: true });
    try {
      while (!signal.aborted) {
        await watch.wait();
        if (signal.aborted) return;
        const tables = this.#read();
        if (tables.size > 0) yield tables;
      }
    } finally {
      signal.removeEventListener("abort", stop);
      await watch.stop();
    }
  }

  /** Empties the socket. */
  #read(): Set<RtnetlinkTable> {
    const tables = new Set<RtnetlinkTable>();
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
        for (const table of RTNETLINK_TABLES) tables.add(table);
        continue;
      }
      const table = TABLE_OF_TYPE.get(
        this.#header.getUint16(TYPE_OFFSET, true),
      );
      if (table !== undefined) tables.add(table);
    }
    return tables;
  }

  [Symbol.dispose](): void {
    if (this.#descriptor < 0) return;
    libc().close(this.#descriptor);
    this.#descriptor = -1;
  }
}
