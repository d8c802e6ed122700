/**
 * Notifications of the kernel's about links, addresses and routes.
 *
 * Source: `linux/rtnetlink.h`.
 *
 * @module
 */

import { NetlinkNotifications } from "./netlink_notifications.ts";
import { NETLINK } from "./netlink_socket.ts";
import {
  RTNETLINK_TABLES,
  type RtnetlinkMonitor,
  type RtnetlinkTable,
} from "./rtnetlink_monitor.ts";

const RTMGRP_LINK = 0x1;
const RTMGRP_NEIGH = 0x4;
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
  [28, "neighbours"],
  [29, "neighbours"],
]);

/** What to report in addition to links, addresses and the routes of others. */
export interface MonitorOptions {
  /**
   * Do not report routes and neighbours that this socket sets and removes: with
   * thousands of peers their owner would check them all after each change.
   */
  readonly own?: { readonly portId: number };
  /**
   * The device whose neighbours and forwarding entries to report. A host's
   * other neighbours change all the time.
   */
  readonly neighboursOf?: () => number | undefined;
  /**
   * Asked for each of its entries that is reported without a socket, as all
   * forwarding entries are: whether it is the owner's own change.
   */
  readonly isOwnEntry?: () => boolean;
}

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
  readonly #notifications: NetlinkNotifications;
  readonly #tables: readonly RtnetlinkTable[];

  /** Throws {@linkcode SystemCallError} when there can be no socket. */
  constructor({ isOwnEntry, neighboursOf, own }: MonitorOptions = {}) {
    this.#notifications = new NetlinkNotifications(
      NETLINK.ROUTE,
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE |
        (neighboursOf === undefined ? 0 : RTMGRP_NEIGH),
      (type, portId, interfaceIndex) => {
        switch (TABLE_OF_TYPE.get(type)) {
          case "routes":
            return portId !== own?.portId;
          case "neighbours":
            return interfaceIndex === neighboursOf?.() &&
              portId !== own?.portId && !(portId === 0 && isOwnEntry?.());
          default:
            return true;
        }
      },
    );
    this.#tables = neighboursOf === undefined
      ? RTNETLINK_TABLES
      : [...RTNETLINK_TABLES, "neighbours"];
  }

  async *changes(
    signal: AbortSignal,
  ): AsyncGenerator<ReadonlySet<RtnetlinkTable>> {
    for await (const { types, lost } of this.#notifications.arrivals(signal)) {
      const tables = new Set(lost ? this.#tables : tablesOf(types));
      if (tables.size > 0) yield tables;
    }
  }

  [Symbol.dispose](): void {
    this.#notifications[Symbol.dispose]();
  }
}

function tablesOf(types: ReadonlySet<number>): RtnetlinkTable[] {
  return [...types].map((type) => TABLE_OF_TYPE.get(type))
    .filter((table) => table !== undefined);
}
