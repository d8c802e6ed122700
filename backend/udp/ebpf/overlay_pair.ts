/**
 * The overlay device of the kernel data path: a veth pair.
 *
 * `flannel0` is the host's end, with the overlay's address and MTU; the programs
 * sit at its egress. Its other end, `flannel0p`, has no address: what is sent by
 * it enters `flannel0` and is merged there (GRO), and what `flannel0` passes on
 * comes out of it cut into packets and with finished checksums, because the
 * offloads are off.
 *
 * @module
 */

import type { DeviceFeature, Ethtool } from "../../../linux/ethtool.ts";
import { ERRNO } from "../../../linux/errno.ts";
import { NetlinkError } from "../../../linux/netlink/errors.ts";
import type { Link, Rtnetlink } from "../../../linux/netlink/rtnetlink.ts";
import type { OverlayMtu } from "../../../net/mtu.ts";
import { BackendStartError } from "../../errors.ts";
import { type Ownership, ownershipOf } from "./ownership.ts";

/** Both ends. */
export interface OverlayPair {
  readonly device: Link;
  readonly hop: Link;
}

/** The largest that a veth takes: whatever comes in must get through. */
const OTHER_END_MTU_BYTES = 65_535;
/** IFNAMSIZ without its NUL. */
const NAME_MOST_LETTERS = 15;
/** Numbers that a pattern is tried with. */
const PATTERN_ATTEMPTS = 100;

/**
 * The pair with the network's alias. Half a pair is none. The ends are told apart
 * by one of their MAC addresses; where somebody (udev does) has changed both, by
 * their MTUs.
 */
export function findOverlayPair(
  links: readonly Link[],
  alias: string,
): OverlayPair | undefined {
  const ours = links.filter((link) =>
    link.alias === alias && link.kind === "veth"
  );
  const { mac, peerMac } = ownershipOf(alias);
  const peer = ours.find((link) => isEqual(link.mac, peerMac));
  const device = ours.find((link) => isEqual(link.mac, mac)) ??
    ours.find(({ index }) => index === peer?.peerIndex) ??
    ours.toSorted((a, b) => a.mtuBytes - b.mtuBytes)[0];
  const hop = ours.find(({ index }) => index === device?.peerIndex);
  return device && hop && { device, hop };
}

/**
 * Makes the pair, in the place of one that was half made. Throws
 * {@linkcode BackendStartError} when a device that is not ours has the name.
 */
export function makeOverlayPair(
  rtnetlink: Rtnetlink,
  owner: Ownership,
  pattern: string,
  mtuBytes: OverlayMtu,
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
        alias,
      });
      return { device: link, hop: peer };
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      const isTaken = error.errno === ERRNO.EEXIST;
      if (isTaken && pattern !== name && number < PATTERN_ATTEMPTS) continue;
      throw new BackendStartError(error);
    }
  }
}

/**
 * An agent that is killed between the making of a pair and its alias leaves one
 * with the network's addresses and no alias, which would keep the name.
 */
function removeHalfMade(
  rtnetlink: Rtnetlink,
  { mac, peerMac }: Ownership,
): void {
  const links = rtnetlink.links()
    .filter(({ alias, kind }) => alias === "" && kind === "veth");
  for (const { index, peerIndex } of links.filter((e) => isEqual(e.mac, mac))) {
    const other = links.find((link) => link.index === peerIndex);
    if (other !== undefined && isEqual(other.mac, peerMac)) {
      rtnetlink.deleteLink(index);
    }
  }
}

/** `flannel0p` for `flannel0`; of the longest names the last letter goes. */
export function hopName(name: string): string {
  const other = `${name.slice(0, NAME_MOST_LETTERS - 1)}p`;
  return other === name ? `${name.slice(0, NAME_MOST_LETTERS - 1)}q` : other;
}

/** Switches the offloads of both ends. Says whether one was not as it must be. */
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
  // What enters by the other end has a checksum that was checked, or is to be.
  wanted.push(["tx-checksum-ip-generic", !merges]);
  const wrong = wanted.filter(([feature, on]) =>
    differs(features.get(feature), on)
  );
  if (wrong.length === 0) return false;
  ethtool.setFeatures(name, Object.fromEntries(wrong));
  return true;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** TCP in all its kinds, and UDP; tunnels' packets are not met here. */
function isSegmentation(feature: string): boolean {
  return feature === "tx-udp-segmentation" ||
    /^tx-tcp6?-.*segmentation$|^tx-tcp-segmentation$/.test(feature);
}

function differs(feature: DeviceFeature | undefined, on: boolean): boolean {
  return feature !== undefined && feature.active !== on;
}
