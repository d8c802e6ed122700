/**
 * The lease that a host holds, and what its value must contain.
 *
 * @module
 */

import type { Ipv4 } from "../../net/ipv4.ts";
import {
  isReservation,
  type Lease,
  type LeaseAdvertisement,
  type LeaseAttributes,
  type LeaseVersion,
} from "../lease.ts";
import { encodeLeaseValue } from "../lease_codec.ts";

/** Decides whether what is found in etcd is this host's, and unchanged. */
export class OwnLease {
  #lease: Lease | undefined;
  /** The underlay's address; `undefined`: as acquired. */
  #publicIp: Ipv4 | undefined;
  /** What the backend decides; `undefined`: as acquired. */
  #advertisement: LeaseAdvertisement | undefined;
  #onChange: () => void = () => {};

  /** As last written or read; `undefined` until there is one. */
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

  /** Overrides what the lease was acquired with. */
  get said(): Partial<LeaseAttributes> {
    return {
      ...this.#advertisement,
      ...(this.#publicIp === undefined ? {} : { publicIp: this.#publicIp }),
    };
  }

  /** What the value must contain. Requires a lease, here and below. */
  get wanted(): LeaseAttributes {
    const { attributes } = this.#lease!;
    if (this.#advertisement === undefined) {
      return { ...attributes, ...this.said };
    }
    // Of another backend.
    const { backendData: _data, dataPath: _path, ...kept } = attributes;
    return { ...kept, ...this.said };
  }

  get saysWhatItMust(): boolean {
    return encodeLeaseValue(this.#lease!.attributes) ===
      encodeLeaseValue(this.wanted);
  }

  /**
   * Calls `listener` when the value must change. @returns a function that ends
   * that.
   */
  onOutdated(listener: () => void): () => void {
    this.#onChange = () => {
      if (!this.saysWhatItMust) listener();
    };
    return () => this.#onChange = () => {};
  }

  /** Has our host id, or our address and no host id. */
  isOurs({ attributes }: Lease): boolean {
    const { hostId, publicIp } = this.#lease!.attributes;
    return attributes.hostId === undefined
      ? attributes.publicIp === publicIp
      : attributes.hostId === hostId;
  }

  /** After a reset, etcd may reach the same revision again. */
  isAsLeft({ modRevision, etcdLeaseId }: LeaseVersion): boolean {
    return modRevision === this.#lease!.modRevision &&
      etcdLeaseId === this.#lease!.etcdLeaseId;
  }

  /** Has the value that we wrote or are about to write. */
  hasOurValue({ attributes }: Lease): boolean {
    const value = encodeLeaseValue(attributes);
    return value === encodeLeaseValue(this.#lease!.attributes) ||
      value === encodeLeaseValue(this.wanted);
  }

  /**
   * Whether a key of ours is the one that we created. Between its deletion and
   * a new key, another host may have taken an overlapping subnet.
   */
  mayWriteOver(version: LeaseVersion): boolean {
    // `etcdctl put` removes the TTL: an unreadable value that we overwrite
    // would look like a reservation and never expire.
    return version.createRevision === this.#lease!.createRevision &&
      (!isReservation(version) || isReservation(this.#lease!));
  }
}
