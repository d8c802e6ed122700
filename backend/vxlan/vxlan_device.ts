/**
 * Maintains the VXLAN device.
 *
 * @module
 */

import { ERRNO } from "../../linux/errno.ts";
import type { Ethtool } from "../../linux/ethtool.ts";
import { NetlinkError } from "../../linux/netlink/errors.ts";
import type {
  Link,
  NewVxlan,
  Rtnetlink,
} from "../../linux/netlink/rtnetlink.ts";
import { formatMac } from "../../net/mac.ts";
import { type OverlayMtu, overlayMtu } from "../../net/mtu.ts";
import type { BackendContext } from "../backend.ts";
import { bottomDevices } from "../bottom_devices.ts";
import { BackendStartError } from "../errors.ts";
import {
  createTunnelDevice,
  findTunnelDevice,
  mendTunnelDevice,
  type TunnelDevice,
} from "../tunnel_device.ts";
import {
  mendTxChecksum,
  planTxChecksum,
  type TxChecksumPlan,
} from "./tx_checksum.ts";
import { type VxlanBackendOptions, vxlanMtuBytes } from "./vxlan_options.ts";

const HINT =
  "delete that device, or choose another VNI: ip -d link show type vxlan";

/** What it works with. */
export interface VxlanDeviceParts {
  readonly rtnetlink: Rtnetlink;
  readonly ethtool: Ethtool;
}

/** One device. */
export class VxlanDevice {
  readonly name: string;
  readonly mtuBytes: OverlayMtu;
  readonly mac: Uint8Array;
  readonly #rtnetlink: Rtnetlink;
  readonly #context: BackendContext;
  readonly #wanted: NewVxlan;
  readonly #tunnel: TunnelDevice;
  readonly #ethtool: Ethtool;
  readonly #txChecksum: TxChecksumPlan;
  #hasWorked = false;

  constructor(
    { ethtool, rtnetlink }: VxlanDeviceParts,
    context: BackendContext,
    options: VxlanBackendOptions & { readonly name: string },
  ) {
    const { underlay } = context;
    this.name = options.name;
    this.mac = options.mac;
    this.mtuBytes = overlayMtu(vxlanMtuBytes(options, underlay.mtuBytes));
    this.#rtnetlink = rtnetlink;
    this.#ethtool = ethtool;
    this.#context = context;
    this.#txChecksum = planTxChecksum(
      ethtool,
      options.txChecksum,
      cardsOf(rtnetlink, underlay.interfaceIndex),
    );
    this.#tunnel = {
      name: options.name,
      kind: "vxlan",
      alias: options.deviceAlias,
      mtuBytes: this.mtuBytes,
    };
    this.#wanted = {
      name: options.name,
      vni: options.vni,
      port: options.port,
      learning: options.learning,
      groupPolicy: options.groupPolicy,
      underlayIndex: underlay.interfaceIndex,
      // Not the public address: behind a NAT the host does not have that one, and
      // the kernel would send nothing.
      local: underlay.address,
      // An IPv4 receiver takes 0, and no card or NAT can spoil it (RFC 7348, 5).
      outerChecksum: false,
      mac: options.mac,
      mtuBytes: this.mtuBytes,
    };
  }

  /**
   * Creates the device, or restores what other programs changed.
   *
   * @throws {BackendStartError} if its name, its VNI or its port is in use, or if
   * the kernel has no VXLAN.
   */
  ensure(): { index: number; mended: string[] } {
    const mended: string[] = [];
    const existing = this.#existing(mended);
    const link = existing ?? this.#create(mended);
    try {
      mended.push(...this.#mend(link));
    } catch (error) {
      // A start that fails leaves nothing. Later, the notification of the
      // deletion would cause the next attempt at once, and so on.
      if (existing === undefined && !this.#hasWorked) {
        this.#rtnetlink.deleteLink(link.index);
      }
      throw error;
    }
    this.#hasWorked = true;
    return { index: link.index, mended };
  }

  /** Who computes the checksums of inner packets, for people. */
  get txChecksum(): string {
    return this.#txChecksum.text;
  }

  #mend(link: Link): string[] {
    const mended: string[] = [];
    if (formatMac(link.mac) !== formatMac(this.mac)) {
      mended.push(`hardware address ${formatMac(link.mac)}`);
      this.#rtnetlink.changeLink(link.index, { mac: this.mac });
    }
    mended.push(
      ...mendTxChecksum(this.#ethtool, this.name, this.#txChecksum),
      ...this.#setUp(link),
    );
    return mended;
  }

  /** The kernel binds the port when the device is set up. */
  #setUp(link: Link): string[] {
    try {
      return mendTunnelDevice(
        this.#rtnetlink,
        link,
        this.#tunnel,
        this.#context,
      );
    } catch (error) {
      const isPortTaken = error instanceof NetlinkError &&
        error.errno === ERRNO.EADDRINUSE;
      if (!isPortTaken) throw error;
      const { port } = this.#wanted;
      throw new BackendStartError(
        new NetlinkError(`set up the device ${this.name}`, error.errno, {
          detail:
            `UDP port ${port} is taken by another program, or by a VXLAN ` +
            `device with another GBP`,
          hint: `find it: ss -lunp sport = :${port}; ` +
            `or publish another Port in the network config`,
          cause: error,
        }),
      );
    }
  }

  /**
   * The device, unless it is missing or cannot be changed into the wanted one.
   */
  #existing(mended: string[]): Link | undefined {
    const link = findTunnelDevice(this.#rtnetlink, this.#tunnel, HINT);
    if (link === undefined) return undefined;
    const settings = this.#rtnetlink.vxlanSettings(link.index);
    const wanted = this.#wanted;
    // flannel's device sends checksums. To change that would cost packets.
    const fits = settings?.vni === wanted.vni &&
      settings.port === wanted.port && settings.local === wanted.local &&
      settings.learning === wanted.learning &&
      settings.groupPolicy === wanted.groupPolicy &&
      settings.underlayIndex === wanted.underlayIndex;
    if (fits) return link;
    mended.push("settings");
    this.#rtnetlink.deleteLink(link.index);
    return undefined;
  }

  #create(mended: string[]): Link {
    mended.push("made");
    const { port, vni } = this.#wanted;
    return createTunnelDevice(
      this.#tunnel,
      {
        what: `VNI ${vni} on UDP port ${port} by another device`,
        hint: HINT,
      },
      () => this.#rtnetlink.createVxlan(this.#wanted),
    );
  }
}

/** Names of the devices at the bottom of the underlay. */
function cardsOf(
  rtnetlink: Pick<Rtnetlink, "links">,
  interfaceIndex: number,
): string[] {
  const links = rtnetlink.links();
  const underlay = links.find(({ index }) => index === interfaceIndex);
  return underlay === undefined
    ? []
    : bottomDevices(underlay, links).map(({ name }) => name);
}
