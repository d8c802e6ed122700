/**
 * The lease that a host holds, and what its value must say.
 *
 * @module
 */

import type { Ipv4 } from "../net/ipv4.ts";
import {
  isReservation,
  type Lease,
  type LeaseAdvertisement,
  type LeaseAttributes,
  type LeaseVersion,
} from "./lease.ts";
import { encodeLeaseValue } from "./lease_codec.ts";

/** Says of what is found in etcd whether it is this host's, and as it left it. */
export class OwnLease {
  #lease: Lease | undefined;
  /** The underlay's address; `undefined`: as it was acquired with. */
  #publicIp: Ipv4 | undefined;
  /** What the backend decides; `undefined`: as it was acquired with. */
  #advertisement: LeaseAdvertisement | undefined;
  #onChange: () => void = () => {};

  /** As last written, or found to be; `undefined` until there is one. */
  get lease(): Lease | undefined {
    return this.#lease;
  }

  hold(lease: Lease): void {
    this.#lease = lease;
  }

  advertise(advertisement: LeaseAdvertisement): void {
    this.#advertisement = advertisement;
    this.#onChange();
  }

  relocate(publicIp: Ipv4): void {
    this.#publicIp = publicIp;
    this.#onChange();
  }

  /** What the value must say whatever the lease was acquired with. */
  get said(): Partial<LeaseAttributes> {
    return {
      ...this.#advertisement,
      ...(this.#publicIp === undefined ? {} : { publicIp: this.#publicIp }),
    };
  }

  /** What the value must say. There must be a lease, here and below. */
  get wanted(): LeaseAttributes {
    return { ...this.#lease!.attributes, ...this.said };
  }

  get saysWhatItMust(): boolean {
    return encodeLeaseValue(this.#lease!.attributes) ===
      encodeLeaseValue(this.wanted);
  }

  /** Calls `listener` when the value must be another one. @returns what ends that. */
  onOutdated(listener: () => void): () => void {
    this.#onChange = () => {
      if (!this.saysWhatItMust) listener();
    };
    return () => this.#onChange = () => {};
  }

  /** With our host id, or with our address and no host id at all. */
  isOurs({ attributes }: Lease): boolean {
    const { hostId, publicIp } = this.#lease!.attributes;
    return attributes.hostId === undefined
      ? attributes.publicIp === publicIp
      : attributes.hostId === hostId;
  }

  /** A history that began anew may come to the same revision. */
  isAsLeft({ modRevision, etcdLeaseId }: LeaseVersion): boolean {
    return modRevision === this.#lease!.modRevision &&
      etcdLeaseId === this.#lease!.etcdLeaseId;
  }

  /** With the value that we gave it, or are about to. */
  hasOurValue({ attributes }: Lease): boolean {
    const value = encodeLeaseValue(attributes);
    return value === encodeLeaseValue(this.#lease!.attributes) ||
      value === encodeLeaseValue(this.wanted);
  }

  /**
   * Whether a key of ours is the one that we made. Between that one's end and the
   * beginning of another one a host may have taken a subnet that overlaps ours.
   */
  mayWriteOver(version: LeaseVersion): boolean {
    // `etcdctl put` takes the TTL off: a value that cannot be read, written over,
    // would look like a reservation and never end.
    return version.createRevision === this.#lease!.createRevision &&
      (!isReservation(version) || isReservation(this.#lease!));
  }
}
