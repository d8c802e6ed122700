/**
 * One watch, which ends on any fault.
 *
 * etcd3's own watcher reconnects and continues with the next revision. After
 * etcd was wiped or restored, that revision lies in the future and the watch
 * would see nothing for days. Therefore the caller must read again before it
 * watches again.
 *
 * @module
 */

import { status } from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import type { IKeyValue } from "etcd3";
import type { EtcdCluster } from "./cluster.ts";
import type { CallLimits, EtcdConnection } from "./connection.ts";
import { WatchStream } from "./watch_stream.ts";

/** The keys to watch: one, or all from `key` up to `rangeEnd` (excluded). */
export interface WatchedKeys {
  readonly key: Uint8Array;
  readonly rangeEnd?: Uint8Array;
  /** Completes "Cannot …" in a message. */
  readonly what: string;
}

/** A key after a change; a deleted key has no value. */
export interface KeyChange {
  readonly type: "put" | "delete";
  readonly keyValue: IKeyValue;
}

/**
 * Changes after `revision`, in order; each item has all that arrived together,
 * one or more.
 *
 * @throws {RegistryError} if the watch ends for any reason other than the
 * signal, whose own reason is thrown.
 */
export async function* watchKeys(
  cluster: EtcdCluster,
  keys: WatchedKeys,
  revision: string,
  signal: AbortSignal,
): AsyncGenerator<readonly KeyChange[]> {
  const { connection, stream } = await cluster.run(
    { what: keys.what, signal, repeatable: true },
    async (connection, limits) => ({
      connection,
      stream: await openStream(connection, keys, revision, limits),
    }),
  );
  const either = AbortSignal.any([signal, connection.lost]);
  const onAbort = () => stream.cancel(either.reason);
  if (either.aborted) onAbort();
  either.addEventListener("abort", onAbort, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      const events = await stream.next();
      yield events.map(({ type, kv }) => ({
        // The protocol's spelling; etcd3's types are wrong here.
        type: type.toUpperCase() === "PUT" ? "put" : "delete",
        keyValue: kv,
      }));
    }
  } catch (error) {
    signal.throwIfAborted();
    throw await cluster.explainBreak(keys.what, connection, error, signal);
  } finally {
    either.removeEventListener("abort", onAbort);
    stream.cancel("the watch is over");
  }
}

/** A stream on which etcd has confirmed the watch. */
async function openStream(
  connection: EtcdConnection,
  { key, rangeEnd }: WatchedKeys,
  revision: string,
  limits: CallLimits,
): Promise<WatchStream> {
  const { signal, deadlineMs } = limits;
  const stream = new WatchStream(await connection.watch(limits));
  const onAbort = () => stream.cancel(signal.reason);
  const timer = setTimeout(
    () => stream.cancel(new LateError()),
    deadlineMs - Date.now(),
  );
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await stream.create({
      key: Buffer.from(key),
      ...(rangeEnd === undefined ? {} : { range_end: Buffer.from(rangeEnd) }),
      start_revision: (BigInt(revision) + 1n).toString(),
    });
    return stream;
  } catch (error) {
    stream.cancel(error);
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

/** A gRPC stream has no deadline; this is the error of one. */
class LateError extends Error {
  readonly code = status.DEADLINE_EXCEEDED;
}
