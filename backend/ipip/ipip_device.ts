/**
 * Maintains the ipip device.
 *
 * @module
 */

import type { Link, Rtnetlink } from "../../linux/netlink/rtnetlink.ts";
import {
  LEAST_OVERLAY_MTU_BYTES,
  type OverlayMtu,
  overlayMtu,
} from "../../net/mtu.ts";
import type { BackendContext } from "../backend.ts";
import { UnderlayMtuError } from "../errors.ts";
import {
  createTunnelDevice,
  findTunnelDevice,
  mendTunnelDevice,
  type TunnelDevice,
} from "../tunnel_device.ts";
import { IPIP_DEVICE, ipipMtuBytes } from "./ipip_options.ts";

const HINT = "delete that device: ip -d link show type ipip";

/** One device, towards all peers: a route's gateway is the outer destination. */
export class IpipDevice {
  readonly name = IPIP_DEVICE;
  readonly mtuBytes: OverlayMtu;
  readonly #rtnetlink: Rtnetlink;
  readonly #context: BackendContext;
  readonly #wanted: TunnelDevice;

  /** @throws {UnderlayMtuError} */
  constructor(rtnetlink: Rtnetlink, context: BackendContext, alias: string) {
    const { interfaceName, mtuBytes } = context.underlay;
    const inner = ipipMtuBytes(mtuBytes);
    if (inner < LEAST_OVERLAY_MTU_BYTES) {
      throw new UnderlayMtuError(
        interfaceName,
        mtuBytes,
        LEAST_OVERLAY_MTU_BYTES + mtuBytes - inner,
      );
    }
    this.mtuBytes = overlayMtu(inner);
    this.#rtnetlink = rtnetlink;
    this.#context = context;
    this.#wanted = {
      name: this.name,
      kind: "ipip",
      alias,
      mtuBytes: this.mtuBytes,
    };
  }

  /**
   * Creates the device, or restores what other programs changed.
   *
   * @throws {BackendStartError} if its name or its local address is in use, or
   * if the kernel has no ipip.
   */
  ensure(): { index: number; mended: string[] } {
    const mended: string[] = [];
    const link = this.#existing(mended) ?? this.#create(mended);
    mended.push(
      ...mendTunnelDevice(this.#rtnetlink, link, this.#wanted, this.#context),
    );
    return { index: link.index, mended };
  }

  /**
   * The device, unless it is missing or cannot be changed into the wanted one.
   */
  #existing(mended: string[]): Link | undefined {
    const link = findTunnelDevice(this.#rtnetlink, this.#wanted, HINT);
    if (link === undefined) return undefined;
    const settings = this.#rtnetlink.ipipSettings(link.index);
    if (settings?.local === this.#local && settings.remote === undefined) {
      return link;
    }
    mended.push("settings");
    this.#rtnetlink.deleteLink(link.index);
    return undefined;
  }

  /**
   * Not the public address: behind a NAT the host does not have that one, and the
   * kernel would send nothing.
   */
  get #local() {
    return this.#context.underlay.address;
  }

  #create(mended: string[]): Link {
    mended.push("made");
    const { mtuBytes, name } = this;
    return createTunnelDevice(
      this.#wanted,
      { what: "this host's address by another ipip device", hint: HINT },
      () => this.#rtnetlink.createIpip({ name, mtuBytes, local: this.#local }),
    );
  }
}
