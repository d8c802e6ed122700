/**
 * The conditional writes that leases are made of, as etcd v3 requests.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type {
  CompareResult,
  CompareTarget,
  ICompare,
  IRequestOp,
  ITxnRequest,
} from "etcd3";

// Numbers of the protocol (etcdserverpb.Compare). etcd3's types also accept
// names, in a spelling that its encoder silently encodes as 0.
const EQUAL: CompareResult = 0;
const LESS: CompareResult = 2;
const VERSION: CompareTarget = 0;
const MOD_REVISION: CompareTarget = 2;

/** The value, and the etcd lease that it is attached to (`0`: none). */
export interface PutContent {
  readonly value: string;
  readonly etcdLeaseId: string;
}

/** Writes a key if it is absent. */
export function putIfAbsent(key: string, content: PutContent): ITxnRequest {
  return { compare: [isAbsent(key)], success: [put(key, content)] };
}

/** Writes a key if it is unchanged since `modRevision`. */
export function putIfUnchanged(
  key: string,
  modRevision: string,
  content: PutContent,
): ITxnRequest {
  return { compare: [isAt(key, modRevision)], success: [put(key, content)] };
}

/** Deletes a key if it is unchanged since `modRevision`. */
export function deleteIfUnchanged(
  key: string,
  modRevision: string,
): ITxnRequest {
  return {
    compare: [isAt(key, modRevision)],
    success: [{ request_delete_range: { key: Buffer.from(key) } }],
  };
}

/**
 * Writes nothing: its condition never holds. etcd refuses it to an account that
 * may not write the key (`checkTxnReqsPermission` in etcd's
 * `server/etcdserver/apply_auth.go` looks at both branches).
 */
export function neverPut(key: string): ITxnRequest {
  return {
    compare: [{
      key: Buffer.from(key),
      result: LESS,
      target: VERSION,
      version: 0,
    }],
    success: [{
      // Even if it were carried out, it would keep the value, and fail for a key
      // that is not there.
      request_put: { key: Buffer.from(key), ignore_value: true },
    }],
  };
}

/** The end of the range of all keys that begin with `prefix`. */
export function endOfPrefix(prefix: string): Uint8Array {
  const end = new TextEncoder().encode(prefix);
  // Prefixes here end in "/", so the last byte can always be incremented.
  end[end.length - 1]! += 1;
  return end;
}

function isAbsent(key: string): ICompare {
  return { key: Buffer.from(key), result: EQUAL, target: VERSION, version: 0 };
}

function isAt(key: string, modRevision: string): ICompare {
  return {
    key: Buffer.from(key),
    result: EQUAL,
    target: MOD_REVISION,
    mod_revision: modRevision,
  };
}

function put(key: string, { value, etcdLeaseId }: PutContent): IRequestOp {
  return {
    request_put: {
      key: Buffer.from(key),
      value: Buffer.from(value),
      lease: etcdLeaseId,
    },
  };
}
