/**
 * Maintains the VXLAN device.
 *
 * @module
 */

import { ERRNO } from "../../linux/errno.ts";
import { NetlinkError } from "../../linux/netlink/errors.ts";
import type {
  Link,
  NewVxlan,
  Rtnetlink,
} from "../../linux/netlink/rtnetlink.ts";
import { contains } from "../../net/cidr.ts";
import { formatMac } from "../../net/mac.ts";
import { type OverlayMtu, overlayMtu } from "../../net/mtu.ts";
import type { BackendContext } from "../backend.ts";
import { BackendStartError } from "../errors.ts";
import { type VxlanBackendOptions, vxlanMtuBytes } from "./vxlan_options.ts";

/** One device. */
export class VxlanDevice {
  readonly name: string;
  readonly mtuBytes: OverlayMtu;
  readonly mac: Uint8Array;
  readonly #rtnetlink: Rtnetlink;
  readonly #context: BackendContext;
  readonly #wanted: NewVxlan;
  readonly #alias: string;

  constructor(
    rtnetlink: Rtnetlink,
    context: BackendContext,
    options: VxlanBackendOptions & { readonly name: string },
  ) {
    const { underlay } = context;
    this.name = options.name;
    this.mac = options.mac;
    this.mtuBytes = overlayMtu(vxlanMtuBytes(options, underlay.mtuBytes));
    this.#rtnetlink = rtnetlink;
    this.#context = context;
    this.#alias = options.deviceAlias;
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
   * @throws {BackendStartError} if its name or its VNI is in use.
   */
  ensure(): { index: number; mended: string[] } {
    const mended: string[] = [];
    const link = this.#existing(mended) ?? this.#create(mended);
    const { subnet } = this.#context;
    const address = { address: subnet.address, prefixLength: 32 };
    if (link.alias !== this.#alias) {
      this.#rtnetlink.changeLink(link.index, { alias: this.#alias });
    }
    if (link.mtuBytes !== this.mtuBytes) {
      mended.push(`MTU ${link.mtuBytes}`);
      this.#rtnetlink.changeLink(link.index, { mtuBytes: this.mtuBytes });
    }
    if (formatMac(link.mac) !== formatMac(this.mac)) {
      mended.push(`hardware address ${formatMac(link.mac)}`);
      this.#rtnetlink.changeLink(link.index, { mac: this.mac });
    }
    if (this.#rtnetlink.ensureAddress(link.index, address)) {
      mended.push("address");
    }
    // Then: with its last address a device loses its routes and neighbours.
    this.#removeOtherAddresses(link);
    if (!link.up) {
      mended.push("down");
      this.#rtnetlink.changeLink(link.index, { up: true });
    }
    return { index: link.index, mended };
  }

  /**
   * The device, unless it is missing or cannot be changed into the wanted one.
   */
  #existing(mended: string[]): Link | undefined {
    const link = this.#rtnetlink.links()
      .find(({ name }) => name === this.name);
    if (link === undefined) return undefined;
    const settings = this.#rtnetlink.vxlanSettings(link.index);
    if (settings === undefined) throw this.#taken(`a ${link.kind} device`);
    const { groupPolicy, learning, local, port, underlayIndex, vni } = settings;
    const wanted = this.#wanted;
    // flannel's device sends checksums. To change that would cost packets.
    const fits = vni === wanted.vni && port === wanted.port &&
      local === wanted.local && learning === wanted.learning &&
      groupPolicy === wanted.groupPolicy &&
      underlayIndex === wanted.underlayIndex;
    if (fits) return link;
    mended.push("settings");
    this.#rtnetlink.deleteLink(link.index);
    return undefined;
  }

  #create(mended: string[]): Link {
    mended.push("made");
    try {
      return this.#rtnetlink.createVxlan(this.#wanted);
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      if (error.errno !== ERRNO.EEXIST) throw new BackendStartError(error);
      throw this.#taken(
        `VNI ${this.#wanted.vni} on UDP port ${this.#wanted.port} by another device`,
        error,
      );
    }
  }

  #taken(what: string, cause?: NetlinkError): BackendStartError {
    return new BackendStartError(
      new NetlinkError(`create the device ${this.name}`, ERRNO.EEXIST, {
        detail: `it is taken: ${what}`,
        hint: `delete that device, or choose another VNI: ip -d link show`,
        ...cause === undefined ? {} : { cause },
      }),
    );
  }

  /** Removes what an earlier lease left; other programs' addresses stay. */
  #removeOtherAddresses({ index }: Link): void {
    const { network, subnet } = this.#context;
    for (const other of this.#rtnetlink.addresses()) {
      if (
        other.interfaceIndex === index && other.address !== subnet.address &&
        contains(network, other.address)
      ) this.#rtnetlink.removeAddress(index, other);
    }
  }
}
