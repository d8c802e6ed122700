/**
 * Liveness probes: asks another agent whether it is alive.
 *
 * The question is a key below `<prefix>/loden/roll-call/<host id>/`, which
 * flannel does not read; the answer is that key's next value. The key is
 * attached to an etcd lease of seconds, so nothing stays behind. An agent that
 * is not asked costs etcd one idle watch.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { getLogger } from "@logtape/logtape";
import { RegistryError } from "../errors.ts";
import { CALL_DEADLINE_MS } from "../liveness/answer_times.ts";
import type { EtcdCluster } from "./cluster.ts";
import type { LeaseGrants } from "./grants.ts";
import { endOfPrefix, putIfAbsent, putIfUnchanged } from "./transactions.ts";
import type { watchKeys } from "./watch.ts";

const log = getLogger(["loden", "lease"]);

const QUESTION = "alive?";
const ANSWER = "alive";
/** How much longer than its asker waits a question lives. */
const QUESTION_MARGIN_MS = CALL_DEADLINE_MS;

/** What probes and answers need of etcd. */
export interface LivenessProbeComponents {
  readonly cluster: EtcdCluster;
  readonly watchKeys: typeof watchKeys;
  readonly grants: LeaseGrants;
  /** `<prefix>/loden/roll-call/`. */
  readonly prefix: string;
}

/**
 * Probes one host; whether it answered within `patienceMs`.
 *
 * @throws {RegistryError} or the signal's reason.
 */
export async function askIfAlive(
  { cluster, watchKeys, grants, prefix }: LivenessProbeComponents,
  hostId: string,
  patienceMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const ttlSeconds = Math.ceil((patienceMs + QUESTION_MARGIN_MS) / 1_000);
  const etcdLeaseId = await grants.grant(cluster, ttlSeconds, signal);
  // The lease's id is random enough for a name.
  const key = keysOf(prefix, hostId) + etcdLeaseId;
  try {
    const { header } = await cluster.run(
      { what: "send a liveness probe", signal, repeatable: false },
      (connection, limits) =>
        connection.calls(limits).kv.txn(
          putIfAbsent(key, { value: QUESTION, etcdLeaseId }),
        ),
    );
    const patience = AbortSignal.timeout(patienceMs);
    const either = AbortSignal.any([signal, patience]);
    const keys = {
      what: "wait for the answer to a liveness probe",
      key: new TextEncoder().encode(key),
    };
    try {
      const watch = watchKeys(cluster, keys, header.revision, either);
      for await (const changes of watch) {
        const answered = changes.some(({ type, keyValue }) =>
          type === "put" && keyValue.value.toString() === ANSWER
        );
        if (answered) return true;
      }
    } catch (error) {
      if (signal.aborted || !patience.aborted) throw error;
    }
    return false;
  } finally {
    await forget(cluster, etcdLeaseId, signal);
  }
}

/**
 * Answers all probes for one host.
 *
 * @throws {RegistryError} if etcd fails, or the signal's reason.
 */
export async function answerLivenessProbes(
  { cluster, watchKeys, prefix }: LivenessProbeComponents,
  hostId: string,
  signal: AbortSignal,
): Promise<never> {
  const start = keysOf(prefix, hostId);
  const end = endOfPrefix(start);
  const { kvs, header } = await cluster.run(
    { what: "list liveness probes for this host", signal, repeatable: true },
    (connection, limits) =>
      connection.calls(limits).kv.range({
        key: Buffer.from(start),
        range_end: Buffer.from(end),
      }),
  );
  for (const question of kvs) await answer(cluster, question, signal);
  const keys = {
    what: "watch liveness probes for this host",
    key: new TextEncoder().encode(start),
    rangeEnd: end,
  };
  const watch = watchKeys(cluster, keys, header.revision, signal);
  for await (const changes of watch) {
    for (const { type, keyValue } of changes) {
      if (type === "put") await answer(cluster, keyValue, signal);
    }
  }
  throw new TypeError("Cannot end: a watch goes on until it fails");
}

/** The parts of etcd's key and value that an answer needs. */
interface Question {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly lease: string;
  readonly mod_revision: string;
}

async function answer(
  cluster: EtcdCluster,
  { key, value, lease, mod_revision }: Question,
  signal: AbortSignal,
): Promise<void> {
  if (value.toString() !== QUESTION) return;
  const content = { value: ANSWER, etcdLeaseId: lease };
  try {
    await cluster.run(
      { what: "answer a liveness probe", signal, repeatable: false },
      (connection, limits) =>
        connection.calls(limits).kv.txn(
          putIfUnchanged(key.toString(), mod_revision, content),
        ),
    );
  } catch (error) {
    // The asker has gone in the meantime, and the probe's lease with it.
    if (error instanceof RegistryError && isLeaseGone(error)) return;
    throw error;
  }
}

function isLeaseGone({ detail }: RegistryError): boolean {
  return detail.includes("requested lease not found");
}

/**
 * Revoking the lease deletes question and answer; if that fails, they expire.
 */
async function forget(
  cluster: EtcdCluster,
  etcdLeaseId: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await cluster.run(
      { what: "withdraw a liveness probe", signal, repeatable: true },
      (connection, limits) =>
        connection.calls(limits).lease.leaseRevoke({ ID: etcdLeaseId }),
    );
  } catch (error) {
    log.debug("an unused etcd lease could not be revoked", {
      event: "lease.revoke-failed",
      etcdLeaseId,
      error,
    });
  }
}

/** A host id is hexadecimal digits: the decoder ignores any other. */
function keysOf(prefix: string, hostId: string): string {
  return `${prefix}${hostId}/`;
}
