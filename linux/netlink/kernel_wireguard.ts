/**
 * The kernel's WireGuard devices, by generic netlink.
 *
 * @module
 */

import { findFamily } from "./generic_netlink.ts";
import { NetlinkClient } from "./netlink_client.ts";
import { NETLINK, NetlinkSocket } from "./netlink_socket.ts";
import type {
  Wireguard,
  WireguardChange,
  WireguardDevice,
} from "./wireguard.ts";
import {
  getDeviceRequest,
  parseDevice,
  setDeviceRequests,
  WIREGUARD_FAMILY,
} from "./wireguard_messages.ts";

/** One netlink socket, in the network namespace of the thread that made it. */
export class KernelWireguard implements Wireguard {
  readonly #client: NetlinkClient;

  /** Throws {@linkcode SystemCallError} when there can be no socket. */
  constructor() {
    this.#client = new NetlinkClient(
      new NetlinkSocket(undefined, NETLINK.GENERIC),
    );
  }

  device(interfaceIndex: number): WireguardDevice {
    return parseDevice(this.#client.list(
      `read the WireGuard interface ${interfaceIndex}`,
      getDeviceRequest(this.#family(), interfaceIndex),
    ));
  }

  change(interfaceIndex: number, change: WireguardChange): void {
    const family = this.#family();
    for (const request of setDeviceRequests(family, interfaceIndex, change)) {
      this.#client.request(
        `change the WireGuard interface ${interfaceIndex}`,
        request,
      );
    }
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  /** Asked each time: a module that is loaded again has another number. */
  #family(): number {
    return findFamily(this.#client, WIREGUARD_FAMILY);
  }
}
