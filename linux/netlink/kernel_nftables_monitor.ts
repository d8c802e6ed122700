/**
 * The kernel's notifications about nftables.
 *
 * @module
 */

import { NetlinkNotifications } from "./netlink_notifications.ts";
import { NETLINK } from "./netlink_socket.ts";
import type { NftablesMonitor } from "./nftables_monitor.ts";

/** `NFNLGRP_NFTABLES` (7) of `linux/netfilter/nfnetlink.h`, as a bit. */
const NFTABLES_GROUP = 1 << 6;

/**
 * The kernel's notifications in this thread's network namespace; needs
 * CAP_NET_ADMIN. While `changes` waits it holds a thread of Deno's pool.
 */
export class KernelNftablesMonitor implements NftablesMonitor {
  readonly #notifications: NetlinkNotifications;

  /** Throws {@linkcode SystemCallError} where the kernel has no nftables. */
  constructor() {
    this.#notifications = new NetlinkNotifications(
      NETLINK.NETFILTER,
      NFTABLES_GROUP,
    );
  }

  async *changes(signal: AbortSignal): AsyncGenerator<void> {
    for await (const _ of this.#notifications.arrivals(signal)) yield;
  }

  [Symbol.dispose](): void {
    this.#notifications[Symbol.dispose]();
  }
}
