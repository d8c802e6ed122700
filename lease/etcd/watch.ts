/**
 * One watch, which ends when anything is wrong.
 *
 * etcd3's own watcher reconnects by itself and goes on from the next revision.
 * After an etcd that was wiped or restored that revision lies in the future, and
 * nothing would be seen for days: whoever watches has to read anew first.
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
  /** Ends the words "Cannot …" in a message. */
  readonly what: string;
}

/** A key as a change left it; a deleted one has no value. */
export interface KeyChange {
  readonly type: "put" | "delete";
  readonly keyValue: IKeyValue;
}

/**
 * Changes after `revision`, in order: all that have arrived at once, one or more.
 *
 * @throws {RegistryError} when the watch ends for any reason but the signal,
 * whose own reason is thrown.
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
        // The protocol's own spelling, whatever etcd3's types say.
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

/** A stream has no deadline of its own in gRPC; this is what it would say. */
class LateError extends Error {
  readonly code = status.DEADLINE_EXCEEDED;
}
