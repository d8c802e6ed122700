/**
 * Reads a range of keys page by page, all at one revision. Ten thousand leases
 * in one answer are close to gRPC's and etcd's limits and delay all other
 * calls.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { IKeyValue, IRangeRequest, IRangeResponse } from "etcd3";
import { RegistryError } from "../errors.ts";

/** Keys of one page: some 250 KB of leases, a few milliseconds to decode. */
export const PAGE_KEYS = 1_000;
/** How often reading starts again after its revision was compacted. */
const ATTEMPTS = 5;

/** The keys, and the function that decodes each. */
export interface RangePages<Entry> {
  readonly key: Uint8Array;
  /** Excluded. */
  readonly rangeEnd: Uint8Array;
  readonly pageKeys: number;
  readonly decode: (keyValue: IKeyValue) => Entry;
}

/** The keys of a range at one revision, in order. */
export interface RangeSnapshot<Entry> {
  readonly entries: Entry[];
  readonly revision: string;
}

/**
 * Reads the range with calls of `read`.
 *
 * @throws what `read` throws; "compacted" only after five times.
 */
export async function readRangePages<Entry>(
  read: (request: IRangeRequest) => Promise<IRangeResponse>,
  range: RangePages<Entry>,
): Promise<RangeSnapshot<Entry>> {
  for (let attempt = 1;; attempt++) {
    try {
      return await readOnce(read, range);
    } catch (error) {
      const isCompacted = error instanceof RegistryError &&
        error.fault === "compacted";
      if (!isCompacted || attempt === ATTEMPTS) throw error;
    }
  }
}

async function readOnce<Entry>(
  read: (request: IRangeRequest) => Promise<IRangeResponse>,
  { key, rangeEnd, pageKeys, decode }: RangePages<Entry>,
): Promise<RangeSnapshot<Entry>> {
  const entries: Entry[] = [];
  let revision: string | undefined;
  let from: Uint8Array = key;
  for (;;) {
    const { kvs, more, header } = await read({
      key: Buffer.from(from),
      range_end: Buffer.from(rangeEnd),
      limit: pageKeys,
      ...(revision === undefined ? {} : { revision }),
    });
    revision ??= header.revision;
    for (const keyValue of kvs) entries.push(decode(keyValue));
    const last = kvs.at(-1);
    if (!more || last === undefined) return { entries, revision };
    from = keyAfter(last.key);
  }
}

/** The smallest key after `key`. */
function keyAfter(key: Uint8Array): Uint8Array {
  return Uint8Array.of(...key, 0);
}
