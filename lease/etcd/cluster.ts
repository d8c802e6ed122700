/**
 * The configured etcd endpoints as one cluster: each call goes to an endpoint
 * that works.
 *
 * @module
 */

import { RegistryError, type RegistryFault } from "../errors.ts";
import { type CallLimits, EtcdConnection } from "./connection.ts";
import { TlsFileError, type TlsFiles } from "./credentials.ts";
import type { Endpoint } from "./endpoint.ts";
import { type CallFailure, classifyFailure } from "./faults.ts";
import { type EtcdAccount, PasswordFileError } from "./password.ts";
import { probeEndpoint } from "./probe.ts";

/** How to reach etcd. */
export interface ClusterOptions {
  readonly endpoints: readonly Endpoint[];
  readonly tls: TlsFiles;
  readonly account: EtcdAccount | undefined;
  /** Milliseconds within which a call returns or fails. */
  readonly deadlineMs: number;
}

/** Describes a call, for its limits and its error message. */
export interface CallOptions {
  /** Completes "Cannot …" in a message. */
  readonly what: string;
  readonly signal: AbortSignal;
  /** Whether the call is idempotent. */
  readonly repeatable: boolean;
}

/** Faults of a member, not of the request: another member may succeed. */
const MEMBER_FAULTS: ReadonlySet<RegistryFault> = new Set([
  "dns",
  "refused",
  "unreachable",
  "tls",
  "no-leader",
  "deadline",
  "not-etcd",
  "unknown",
]);

/** If several members fail, the first fault in this order is reported. */
const TELLING: readonly RegistryFault[] = [
  "no-leader",
  "deadline",
  "tls",
  "not-etcd",
  "unreachable",
  "refused",
  "dns",
];

/** Part of the deadline is reserved for diagnosing the fault. */
const PROBE_SHARE = 0.2;
const MAX_PROBE_MS = 1_000;

interface FailedAttempt extends CallFailure {
  readonly endpoint: Endpoint;
  /** `undefined` if it could not be created. */
  readonly connection: EtcdConnection | undefined;
  readonly cause: unknown;
}

/** Connections to all endpoints; calls use the one that worked last. */
export class EtcdCluster {
  readonly #options: ClusterOptions;
  readonly #connections = new Map<Endpoint, EtcdConnection>();
  #preferred = 0;
  #closed = false;

  constructor(options: ClusterOptions) {
    this.#options = options;
  }

  /**
   * Runs `call` on one endpoint after another until one carries it out.
   *
   * A call that is not `repeatable` goes to the next endpoint only if this one
   * has certainly not carried it out.
   *
   * @throws {RegistryError} that names every endpoint tried, or the signal's
   * reason.
   */
  async run<T>(
    { what, signal, repeatable }: CallOptions,
    call: (connection: EtcdConnection, limits: CallLimits) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    if (this.#closed) throw this.#closedError(what);
    const order = this.#order();
    const probeMs = Math.min(
      MAX_PROBE_MS,
      this.#options.deadlineMs * PROBE_SHARE,
    );
    const endsAt = performance.now() + this.#options.deadlineMs - probeMs;
    const failures: FailedAttempt[] = [];
    for (const [index, endpoint] of order.entries()) {
      // A silent endpoint must leave time for the others.
      const shareMs = Math.max(0, endsAt - performance.now()) /
        (order.length - index);
      let connection: EtcdConnection | undefined;
      try {
        connection = this.#connection(endpoint);
        const result = await call(connection, {
          deadlineMs: Date.now() + shareMs,
          signal,
        });
        this.#preferred = this.#options.endpoints.indexOf(endpoint);
        return result;
      } catch (error) {
        signal.throwIfAborted();
        const classified = this.#classify(error);
        const failure = { ...classified, endpoint, connection, cause: error };
        failures.push(failure);
        this.#afterFailure(failure);
        if (!MEMBER_FAULTS.has(failure.fault)) break;
        if (failure.uncertain && !repeatable) break;
      }
    }
    throw await this.#explain(what, failures, probeMs, signal);
  }

  /** The error for a stream from `connection` that broke. */
  explainBreak(
    what: string,
    connection: EtcdConnection,
    cause: unknown,
    signal: AbortSignal,
  ): Promise<unknown> {
    const failure = {
      ...this.#classify(cause),
      endpoint: connection.endpoint,
      connection,
      cause,
    };
    this.#afterFailure(failure);
    return this.#explain(what, [failure], MAX_PROBE_MS, signal);
  }

  /**
   * Ends every call and closes the connections; the next calls open new ones.
   */
  reconnect(): void {
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }

  /** Ends every call; the cluster cannot be used any more. */
  close(): void {
    this.#closed = true;
    this.reconnect();
  }

  /** All endpoints, the preferred one first. */
  #order(): Endpoint[] {
    const { endpoints } = this.#options;
    return [
      ...endpoints.slice(this.#preferred),
      ...endpoints.slice(0, this.#preferred),
    ];
  }

  #connection(endpoint: Endpoint): EtcdConnection {
    const present = this.#connections.get(endpoint);
    if (present && !present.lost.aborted) return present;
    const { tls, account } = this.#options;
    const connection = new EtcdConnection(endpoint, tls, account);
    this.#connections.set(endpoint, connection);
    return connection;
  }

  #closedError(what: string): RegistryError {
    return new RegistryError("unreachable", what, {
      endpoints: this.#options.endpoints.map(({ url }) => url),
      detail: "the program is stopping and has closed its connections",
    });
  }

  #classify(error: unknown): CallFailure {
    const isTls = error instanceof TlsFileError;
    if (!isTls && !(error instanceof PasswordFileError)) {
      return classifyFailure(error);
    }
    return {
      fault: isTls ? "tls" : "auth",
      detail: error.message,
      ambiguous: false,
      uncertain: false,
      connecting: false,
    };
  }

  /**
   * Drops a connection that must be replaced: to read the certificate files
   * again; because it broke, including the case where HTTP/2 keeps its session
   * and would cancel every further call; or because the kernel retries an
   * unanswered connection attempt after longer and longer pauses and would come
   * back long after the network. An established connection without an answer in
   * time is probed.
   */
  #afterFailure({ fault, connecting, ...attempt }: FailedAttempt): void {
    if (fault === "deadline" && !connecting) attempt.connection?.suspect();
    if (fault !== "tls" && fault !== "unreachable" && !connecting) return;
    const { endpoint, connection } = attempt;
    // Another call may have replaced it already.
    if (this.#connections.get(endpoint) !== connection) return;
    connection?.close();
    this.#connections.delete(endpoint);
  }

  async #explain(
    what: string,
    failures: readonly FailedAttempt[],
    probeMs: number,
    signal: AbortSignal,
  ): Promise<unknown> {
    const found = await Promise.all(failures.map(async (failure) => {
      if (!failure.ambiguous || this.#closed) return failure;
      const finding = await probeEndpoint(failure.endpoint, probeMs);
      return finding === undefined ? failure : { ...failure, ...finding };
    }));
    // An apparently broken connection may mean that the server rejects our
    // certificate: the next attempt must read the files again.
    for (const failure of found) this.#afterFailure(failure);
    if (signal.aborted) return signal.reason;
    if (this.#closed) return this.#closedError(what);
    const told = TELLING.map((fault) =>
      found.find((failure) => failure.fault === fault)
    ).find((failure) => failure !== undefined);
    // A fault that is not a member's ended the search and comes last.
    const last = found.at(-1)!;
    const main = MEMBER_FAULTS.has(last.fault) ? told ?? last : last;
    return new RegistryError(main.fault, what, {
      endpoints: found.map((failure) => failure.endpoint.url),
      detail: found.length === 1
        ? main.detail
        : found.map(({ endpoint, detail }) => `${endpoint.url}: ${detail}`)
          .join("; "),
      uncertain: found.some((failure) => failure.uncertain),
      cause: main.cause,
    });
  }
}
