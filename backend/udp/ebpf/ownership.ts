/**
 * How objects in the kernel show which network they belong to.
 *
 * Several networks may be on one host, each with its own agent. Devices carry
 * the network's alias. Programs, whose names have at most 15 letters, carry a
 * hash of it, as do the MAC addresses of the overlay device.
 *
 * @module
 */

import { fnv1a } from "../../../net/fnv1a.ts";

/** The marks of one network's objects. */
export interface Ownership {
  /** On devices: `loden:<etcd prefix>`. */
  readonly alias: string;
  /** At the end of programs' names: five hexadecimal digits. */
  readonly suffix: string;
  /** In front of stripped frames: a 32-bit number. */
  readonly mark: number;
  /** Of the overlay device and of its other end. */
  readonly mac: Uint8Array;
  readonly peerMac: Uint8Array;
}

/** Locally administered, unicast (IEEE 802, 2nd lowest bit of the first byte). */
const LOCAL_MAC = [0x02, 0x4c, 0x6f];
const DEVICE_END = 0x00;
const OTHER_END = 0x01;

/** The marks of the network with this alias. */
export function ownershipOf(alias: string): Ownership {
  const digits = fnv1a(alias);
  const hash = parseInt(digits, 16);
  const mac = (end: number) =>
    Uint8Array.of(...LOCAL_MAC, hash >>> 24, (hash >>> 16) & 255, end);
  return {
    alias,
    suffix: digits.slice(0, 5),
    mark: hash | 0,
    mac: mac(DEVICE_END),
    peerMac: mac(OTHER_END),
  };
}
