/**
 * One key and value below `<prefix>/subnets/`, as bytes: a lease, or the reason why
 * it is none.
 *
 * Anyone with an account in etcd may have written them. No bytes make this throw,
 * and none give a lease that a later step cannot encode again: long values and
 * values that nest deeply are refused here, because `JSON.stringify` recurses.
 *
 * @module
 */

import type { Cidr } from "../net/cidr.ts";
import type { Lease, LeaseVersion } from "./lease.ts";
import { decodeLeaseValue, parseLeaseName } from "./lease_codec.ts";
import type { RejectedLease } from "./registry.ts";

/** A key and value of etcd, with etcd's names. */
export interface RawEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly lease: string;
  readonly create_revision: string;
  readonly mod_revision: string;
}

/** Longer values are refused; flannel's are shorter than 300 bytes. */
export const LONGEST_VALUE_BYTES = 65_536;

/** `subnetsPrefix` is what every lease's key begins with. */
export function decodeLeaseEntry(
  subnetsPrefix: string,
  entry: RawEntry,
): Lease | RejectedLease {
  const key = decodeText(entry.key);
  if (key === undefined) {
    const shown = new TextDecoder().decode(entry.key);
    return { key: shown, reason: "the key must be UTF-8 text" };
  }
  const name = key.slice(subnetsPrefix.length);
  const subnet = parseLeaseName(name);
  if (!subnet.ok) return { key, reason: subnet.reason };
  const version: LeaseVersion = {
    name,
    subnet: subnet.value,
    etcdLeaseId: entry.lease,
    createRevision: entry.create_revision,
    modRevision: entry.mod_revision,
  };
  const bytes = entry.value.length;
  if (bytes > LONGEST_VALUE_BYTES) {
    return {
      key,
      version,
      reason:
        `the value must have at most ${LONGEST_VALUE_BYTES} bytes: current value has ${bytes}`,
    };
  }
  const text = decodeText(entry.value);
  if (text === undefined) {
    return { key, reason: "the value must be UTF-8 text", version };
  }
  const attributes = decodeLeaseValue(text);
  return attributes.ok
    ? { ...version, attributes: attributes.value }
    : { key, reason: attributes.reason, version };
}

/** The subnet of a key that was deleted; `undefined` when it never was a lease. */
export function decodeDeletedKey(
  subnetsPrefix: string,
  key: Uint8Array,
): { name: string; subnet: Cidr } | undefined {
  const name = decodeText(key)?.slice(subnetsPrefix.length);
  const subnet = name === undefined ? undefined : parseLeaseName(name);
  return name === undefined || !subnet?.ok
    ? undefined
    : { name, subnet: subnet.value };
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** `undefined` if the bytes are not UTF-8. */
export function decodeText(bytes: Uint8Array): string | undefined {
  try {
    return strictUtf8.decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return undefined;
  }
}
