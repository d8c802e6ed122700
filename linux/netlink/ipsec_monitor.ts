/**
 * Notifies of changes of IPsec policies.
 *
 * @module
 */

import { NetlinkNotifications } from "./netlink_notifications.ts";
import { NETLINK } from "./netlink_socket.ts";

/** Notices every change from its making on, also between two rounds of a loop. */
export interface IpsecMonitor extends Disposable {
  /**
   * Yields as often as policies have come or gone, many changes at once; ends
   * when `signal` is aborted. One loop at a time; dispose of the monitor after it.
   *
   * Throws {@linkcode SystemCallError}.
   */
  changes(signal: AbortSignal): AsyncGenerator<void>;
}

/**
 * `XFRMNLGRP_EXPIRE` (2) and `XFRMNLGRP_POLICY` (4) of `linux/xfrm.h`, as bits: a
 * policy may have a life of its own, at the end of which it is gone.
 */
const GROUPS = 1 << 1 | 1 << 3;

/**
 * The kernel's notifications in this thread's network namespace. While `changes`
 * waits it holds a thread of Deno's pool.
 */
export class KernelIpsecMonitor implements IpsecMonitor {
  readonly #notifications: NetlinkNotifications;

  /** Throws {@linkcode SystemCallError} where the kernel has no IPsec. */
  constructor() {
    this.#notifications = new NetlinkNotifications(NETLINK.XFRM, GROUPS);
  }

  async *changes(signal: AbortSignal): AsyncGenerator<void> {
    for await (const _ of this.#notifications.arrivals(signal)) yield;
  }

  [Symbol.dispose](): void {
    this.#notifications[Symbol.dispose]();
  }
}
