/**
 * The configured etcd endpoints as one: each call goes to one that works.
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
  /** Milliseconds within which a call has its answer or its error. */
  readonly deadlineMs: number;
}

/** What a call is, for its limits and its error message. */
export interface CallOptions {
  /** Ends the words "Cannot …" in a message. */
  readonly what: string;
  readonly signal: AbortSignal;
  /** Whether doing it twice is the same as doing it once. */
  readonly repeatable: boolean;
}

/** Faults of a member rather than of the request: another member may do better. */
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

/** Of several members' faults the first in this order is the cluster's. */
const TELLING: readonly RegistryFault[] = [
  "no-leader",
  "deadline",
  "tls",
  "not-etcd",
  "unreachable",
  "refused",
  "dns",
];

/** A part of the deadline is kept for finding out what went wrong. */
const PROBE_SHARE = 0.2;
const MAX_PROBE_MS = 1_000;

interface FailedAttempt extends CallFailure {
  readonly endpoint: Endpoint;
  /** `undefined` when it could not even be made. */
  readonly connection: EtcdConnection | undefined;
  readonly cause: unknown;
}

/** Connections to all endpoints; a call stays with the one that last worked. */
export class EtcdCluster {
  readonly #options: ClusterOptions;
  readonly #connections = new Map<Endpoint, EtcdConnection>();
  #preferred = 0;
  #closed = false;

  constructor(options: ClusterOptions) {
    this.#options = options;
  }

  /**
   * Runs `call` on one endpoint after the other until one carries it out.
   *
   * A call that is not `repeatable` goes to the next endpoint only when this one
   * certainly has not carried it out.
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
      // One that is silent must leave time for the others.
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

  /** Ends every call, and makes the connections for the next ones anew. */
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
   * Drops a connection that is better made anew: to read the certificate files
   * again; because it broke, also where HTTP/2 keeps its session and would cancel
   * each further call; or because the kernel repeats an unanswered attempt after
   * ever longer pauses, and would come back long after the network has. One that
   * was made and had no answer in time is asked whether it lives.
   */
  #afterFailure({ fault, connecting, ...attempt }: FailedAttempt): void {
    if (fault === "deadline" && !connecting) attempt.connection?.suspect();
    if (fault !== "tls" && fault !== "unreachable" && !connecting) return;
    const { endpoint, connection } = attempt;
    // Another call may have made a better one already.
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
    // What looked like a broken connection may be a certificate of ours that the
    // server does not take: the next attempt must read the files again.
    for (const failure of found) this.#afterFailure(failure);
    if (signal.aborted) return signal.reason;
    if (this.#closed) return this.#closedError(what);
    const told = TELLING.map((fault) =>
      found.find((failure) => failure.fault === fault)
    ).find((failure) => failure !== undefined);
    // What is no member's fault ended the search and stands last.
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
