/**
 * The overlay device of the kernel data path: a veth pair.
 *
 * `flannel0` is the host's end, with the overlay's address and MTU; a program
 * runs at its egress. Its other end, the hop `flannel0p`, has no address.
 * Packets sent through the hop enter `flannel0` and are merged there (GRO).
 * Packets that `flannel0` passes on come out of the hop segmented and with
 * complete checksums, because the offloads are off.
 *
 * @module
 */

import { equals } from "@std/bytes/equals";
import type { DeviceFeature, Ethtool } from "../../../linux/ethtool.ts";
import { onlineCpus } from "../../../linux/cpu_list.ts";
import { ERRNO } from "../../../linux/errno.ts";
import { moduleMissing, NetlinkError } from "../../../linux/netlink/errors.ts";
import type { Link, Rtnetlink } from "../../../linux/netlink/rtnetlink.ts";
import type { OverlayMtu } from "../../../net/mtu.ts";
import { BackendStartError } from "../../errors.ts";
import { type Ownership, ownershipOf } from "./ownership.ts";

/** Both ends. */
export interface OverlayPair {
  readonly device: Link;
  readonly hop: Link;
}

/** The maximum of a veth, so that every incoming packet fits. */
const OTHER_END_MTU_BYTES = 65_535;
/**
 * A queue for each processor: what arrives by several queues of a card is merged
 * by as many processors (`netdev_pick_tx` takes the queue of the card's number).
 */
const MOST_QUEUES = 64;
/** IFNAMSIZ without its NUL. */
const NAME_MOST_LETTERS = 15;
/** Numbers that a pattern is tried with. */
const PATTERN_ATTEMPTS = 100;

/**
 * The pair with the network's alias; half a pair does not count. The ends are
 * distinguished by one of their MAC addresses, or, if another program (such as
 * udev) changed both, by their MTUs.
 */
export function findOverlayPair(
  links: readonly Link[],
  alias: string,
): OverlayPair | undefined {
  const ours = links.filter((link) =>
    link.alias === alias && link.kind === "veth"
  );
  const { mac, peerMac } = ownershipOf(alias);
  const peer = ours.find((link) => equals(link.mac, peerMac));
  const device = ours.find((link) => equals(link.mac, mac)) ??
    ours.find(({ index }) => index === peer?.peerIndex) ??
    ours.toSorted((a, b) => a.mtuBytes - b.mtuBytes)[0];
  const hop = ours.find(({ index }) => index === device?.peerIndex);
  return device && hop && { device, hop };
}

/**
 * Creates the pair and replaces a half-created one. Throws
 * {@linkcode BackendStartError} if another device has the name, and
 * {@linkcode NetlinkError} if the kernel has no such devices.
 */
export function makeOverlayPair(
  rtnetlink: Rtnetlink,
  owner: Ownership,
  pattern: string,
  mtuBytes: OverlayMtu,
  processors: number = onlineCpus(),
): OverlayPair {
  const { alias, mac, peerMac } = owner;
  removeHalfMade(rtnetlink, owner);
  for (let number = 0;; number++) {
    const name = pattern.replace("%d", String(number));
    try {
      const { link, peer } = rtnetlink.createVethPair({
        name,
        peerName: hopName(name),
        mac,
        peerMac,
        mtuBytes,
        peerMtuBytes: OTHER_END_MTU_BYTES,
        queues: Math.min(processors, MOST_QUEUES),
        alias,
      });
      return { device: link, hop: peer };
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      const isTaken = error.errno === ERRNO.EEXIST;
      if (isTaken && pattern !== name && number < PATTERN_ATTEMPTS) continue;
      // The kernel has no veth: another data path may work.
      if (error.errno === ERRNO.EOPNOTSUPP) {
        const what = `create the device ${name}`;
        throw moduleMissing(what, error.errno, "veth", { cause: error });
      }
      throw new BackendStartError(error);
    }
  }
}

/**
 * An agent that is killed between creating a pair and setting its alias leaves
 * a pair with the network's addresses and no alias, which would occupy the
 * name.
 */
function removeHalfMade(
  rtnetlink: Rtnetlink,
  { mac, peerMac }: Ownership,
): void {
  const links = rtnetlink.links()
    .filter(({ alias, kind }) => alias === "" && kind === "veth");
  for (const { index, peerIndex } of links.filter((e) => equals(e.mac, mac))) {
    const other = links.find((link) => link.index === peerIndex);
    if (other !== undefined && equals(other.mac, peerMac)) {
      rtnetlink.deleteLink(index);
    }
  }
}

/** `flannel0p` for `flannel0`; the longest names lose their last letter. */
export function hopName(name: string): string {
  const other = `${name.slice(0, NAME_MOST_LETTERS - 1)}p`;
  return other === name ? `${name.slice(0, NAME_MOST_LETTERS - 1)}q` : other;
}

/** Sets the offloads of both ends; returns whether one was wrong. */
export function ensureOffloads(
  ethtool: Ethtool,
  { device, hop }: OverlayPair,
): boolean {
  const changes = [
    ensureFeatures(ethtool, device.name, true),
    ensureFeatures(ethtool, hop.name, false),
  ];
  return changes.includes(true);
}

function ensureFeatures(
  ethtool: Ethtool,
  name: string,
  merges: boolean,
): boolean {
  const features = ethtool.features(name);
  const wanted: [string, boolean][] = [["rx-gro", merges]];
  for (const feature of features.keys()) {
    if (isSegmentation(feature)) wanted.push([feature, false]);
  }
  // Packets that enter through the hop have checksums that were or will be
  // verified.
  wanted.push(["tx-checksum-ip-generic", !merges]);
  const wrong = wanted.filter(([feature, on]) =>
    differs(features.get(feature), on)
  );
  if (wrong.length === 0) return false;
  ethtool.setFeatures(name, Object.fromEntries(wrong));
  return true;
}

/** TCP in all its kinds, and UDP; tunnels' packets are not met here. */
function isSegmentation(feature: string): boolean {
  return feature === "tx-udp-segmentation" ||
    /^tx-tcp6?-.*segmentation$|^tx-tcp-segmentation$/.test(feature);
}

function differs(feature: DeviceFeature | undefined, on: boolean): boolean {
  return feature !== undefined && feature.active !== on;
}
