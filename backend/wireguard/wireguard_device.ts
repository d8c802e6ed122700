/**
 * Maintains the WireGuard device.
 *
 * @module
 */

import { ERRNO } from "../../linux/errno.ts";
import { NetlinkError } from "../../linux/netlink/errors.ts";
import type { Link, Rtnetlink } from "../../linux/netlink/rtnetlink.ts";
import type {
  Wireguard,
  WireguardChange,
  WireguardDevice as DeviceState,
} from "../../linux/netlink/wireguard.ts";
import { type OverlayMtu, overlayMtu } from "../../net/mtu.ts";
import type { BackendContext } from "../backend.ts";
import { BackendStartError } from "../errors.ts";
import { UNREACHABLE_METRIC } from "../overlay_device.ts";
import { ROUTE_PROTOCOL } from "../reconcile/kernel_state.ts";
import {
  createTunnelDevice,
  findTunnelDevice,
  mendTunnelDevice,
  type TunnelDevice,
} from "../tunnel_device.ts";
import type { WireguardKey } from "./wireguard_key.ts";
import {
  WIREGUARD_DEVICE,
  wireguardMtuBytes,
  type WireguardOptions,
} from "./wireguard_options.ts";

/** What a device is made with. */
export interface WireguardDeviceOptions extends WireguardOptions {
  readonly key: WireguardKey;
  /** The alias that marks the device as this network's. */
  readonly deviceAlias: string;
}

const HINT =
  `delete or rename that device: ip -d link show ${WIREGUARD_DEVICE}`;

/** One device. flannel deletes its device at each start; this one is changed. */
export class WireguardDevice {
  readonly name = WIREGUARD_DEVICE;
  readonly mtuBytes: OverlayMtu;
  readonly #rtnetlink: Rtnetlink;
  readonly #wireguard: Wireguard;
  readonly #context: BackendContext;
  readonly #options: WireguardDeviceOptions;
  readonly #wanted: TunnelDevice;

  constructor(
    rtnetlink: Rtnetlink,
    wireguard: Wireguard,
    context: BackendContext,
    options: WireguardDeviceOptions,
  ) {
    this.mtuBytes = overlayMtu(
      wireguardMtuBytes(options, context.underlay.mtuBytes),
    );
    this.#wanted = {
      name: this.name,
      kind: "wireguard",
      alias: options.deviceAlias,
      mtuBytes: this.mtuBytes,
    };
    this.#rtnetlink = rtnetlink;
    this.#wireguard = wireguard;
    this.#context = context;
    this.#options = options;
  }

  /**
   * Keeps packets for the overlay from leaving in clear while there is no device.
   * Afterwards the route is kept with those of the peers.
   */
  close(): void {
    this.#rtnetlink.replaceRoute({
      destination: this.#context.network,
      type: "unreachable",
      metric: UNREACHABLE_METRIC,
      protocol: ROUTE_PROTOCOL,
    });
  }

  /**
   * Creates the device, or restores what other programs changed.
   *
   * @throws {BackendStartError} if its name or its port is in use, or if the
   * kernel has no WireGuard.
   */
  ensure(): {
    readonly index: number;
    readonly mended: string[];
    /** Whether it had another key, or none. */
    readonly hasOtherKey: boolean;
    readonly state: DeviceState;
  } {
    const mended: string[] = [];
    const link = findTunnelDevice(this.#rtnetlink, this.#wanted, HINT) ??
      this.#create(mended);
    const state = this.#ensureKeyAndPort(link, mended);
    mended.push(
      ...this.#withPort(() =>
        mendTunnelDevice(this.#rtnetlink, link, this.#wanted, this.#context)
      ),
    );
    return {
      index: link.index,
      mended,
      hasOtherKey: mended.includes("key"),
      state,
    };
  }

  #create(mended: string[]): Link {
    mended.push("made");
    const { mtuBytes, name } = this;
    return createTunnelDevice(
      this.#wanted,
      { what: "the name by another device", hint: HINT },
      () => this.#rtnetlink.createWireguard({ name, mtuBytes }),
    );
  }

  /** The peers know this host by its key: the device has no other. */
  #ensureKeyAndPort(link: Link, mended: string[]): DeviceState {
    const state = this.#wireguard.device(link.index);
    const { key, port } = this.#options;
    const change: WireguardChange = {
      ...state.publicKey === key.publicKey ? {} : { privateKey: key.reveal() },
      ...state.listenPort === port ? {} : { listenPort: port },
    };
    if (Object.keys(change).length === 0) return state;
    if (change.privateKey !== undefined) mended.push("key");
    if (change.listenPort !== undefined) {
      mended.push(`port ${state.listenPort}`);
    }
    this.#withPort(() => this.#wireguard.change(link.index, change));
    return { ...state, publicKey: key.publicKey, listenPort: port };
  }

  #withPort<Result>(act: () => Result): Result {
    try {
      return act();
    } catch (error) {
      const isTaken = error instanceof NetlinkError &&
        error.errno === ERRNO.EADDRINUSE;
      if (!isTaken) throw error;
      const { port } = this.#options;
      throw new BackendStartError(
        new NetlinkError(`listen on UDP port ${port}`, ERRNO.EADDRINUSE, {
          cause: error,
          detail: "another program or device has it",
          hint: `end that program, or choose another ListenPort: ss -ulpn ` +
            `sport = :${port}; ip -d link show type wireguard`,
        }),
      );
    }
  }
}
