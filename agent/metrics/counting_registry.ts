/**
 * Counts what a {@linkcode LeaseRegistry} is asked, and how it answers.
 *
 * @module
 */

import { REGISTRY_FAULTS, RegistryError } from "../../lease/errors.ts";
import type { LeaseRegistry } from "../../lease/registry.ts";
import type { Clock } from "../../linux/clock.ts";
import { Durations } from "./durations.ts";
import type { Sample } from "./metric.ts";

/** The calls that are counted, as values of the label `op`. */
export const REGISTRY_CALLS = [
  "read_config",
  "write_config",
  "list",
  "list_written",
  "get",
  "create",
  "renew",
  "remaining",
  "remove",
] as const;

/** One of them. */
export type RegistryCall = typeof REGISTRY_CALLS[number];

/** Upper bounds of the durations, in seconds. A call ends after five at most. */
const CALL_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** How a renewal ends; `changed`: another program has changed the key. */
export const RENEWAL_RESULTS = ["ok", "changed", "failed"] as const;

/** Why the watch of all leases ends. */
export const RESYNC_CAUSES: readonly string[] = [
  "scheduled",
  ...REGISTRY_FAULTS,
  "error",
];

/** What was counted. */
export class RegistryCounts {
  readonly #clock: Pick<Clock, "now">;
  readonly #calls = new Map<string, Sample>();
  readonly #renewals = new Map<string, Sample>();
  readonly #resyncs = new Map<string, Sample>();
  readonly durations: Durations = new Durations(CALL_BUCKETS);
  #contactMs: number | undefined;

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
    // From 0, so that the first one is seen as an increase.
    for (const result of RENEWAL_RESULTS) {
      this.#renewals.set(result, { labels: { result }, value: 0 });
    }
    for (const cause of RESYNC_CAUSES) {
      this.#resyncs.set(cause, { labels: { cause }, value: 0 });
    }
  }

  /** When etcd last answered, milliseconds since 1970. */
  get contactMs(): number | undefined {
    return this.#contactMs;
  }

  get calls(): readonly Sample[] {
    return [...this.#calls.values()];
  }

  get renewals(): readonly Sample[] {
    return [...this.#renewals.values()];
  }

  get resyncs(): readonly Sample[] {
    return [...this.#resyncs.values()];
  }

  onContact(): void {
    this.#contactMs = this.#clock.now();
  }

  onCall(op: RegistryCall, result: string, seconds: number): void {
    increment(this.#calls, { op, result });
    this.durations.observe({ op }, seconds);
  }

  onRenewal(result: typeof RENEWAL_RESULTS[number]): void {
    increment(this.#renewals, { result });
  }

  onResync(cause: string): void {
    increment(this.#resyncs, { cause });
  }
}

function increment(
  counts: Map<string, Sample>,
  labels: Readonly<Record<string, string>>,
): void {
  const key = Object.values(labels).join();
  counts.set(key, { labels, value: (counts.get(key)?.value ?? 0) + 1 });
}

/** The same registry, counted. A call that its caller gave up is not counted. */
export function countRegistry(
  registry: LeaseRegistry,
  counts: RegistryCounts,
  clock: Pick<Clock, "monotonic">,
): LeaseRegistry {
  async function call<T>(
    op: RegistryCall,
    signal: AbortSignal,
    run: () => Promise<T>,
  ): Promise<T> {
    const startedMs = clock.monotonic();
    const seconds = () => (clock.monotonic() - startedMs) / 1_000;
    try {
      const answer = await run();
      counts.onCall(op, "ok", seconds());
      counts.onContact();
      return answer;
    } catch (error) {
      if (!signal.aborted) counts.onCall(op, faultOf(error), seconds());
      throw error;
    }
  }

  async function* follow<T>(changes: AsyncIterable<T>): AsyncGenerator<T> {
    for await (const change of changes) {
      counts.onContact();
      yield change;
    }
  }

  return {
    readConfig: (signal) =>
      call("read_config", signal, () => registry.readConfig(signal)),
    watchConfig: (signal) => follow(registry.watchConfig(signal)),
    writeConfig: (text, expected, signal) =>
      call(
        "write_config",
        signal,
        () => registry.writeConfig(text, expected, signal),
      ),
    list: (signal) => call("list", signal, () => registry.list(signal)),
    listWritten: (span, signal) =>
      call("list_written", signal, () => registry.listWritten(span, signal)),
    get: (subnet, signal) =>
      call("get", signal, () => registry.get(subnet, signal)),
    create: (subnet, attributes, ttlSeconds, signal) =>
      call(
        "create",
        signal,
        () => registry.create(subnet, attributes, ttlSeconds, signal),
      ),
    async renew(version, attributes, ttlSeconds, signal) {
      try {
        const lease = await call(
          "renew",
          signal,
          () => registry.renew(version, attributes, ttlSeconds, signal),
        );
        counts.onRenewal(lease === undefined ? "changed" : "ok");
        return lease;
      } catch (error) {
        if (!signal.aborted) counts.onRenewal("failed");
        throw error;
      }
    },
    remainingSeconds: (version, signal) =>
      call(
        "remaining",
        signal,
        () => registry.remainingSeconds(version, signal),
      ),
    remove: (version, signal) =>
      call("remove", signal, () => registry.remove(version, signal)),
    async *watch(revision, signal, only) {
      try {
        yield* follow(registry.watch(revision, signal, only));
      } catch (error) {
        // The watch of this host's own lease is another one.
        if (only === undefined) {
          counts.onResync(signal.aborted ? "scheduled" : faultOf(error));
        }
        throw error;
      }
    },
    // These wait for another host, not for etcd.
    isAlive: (hostId, patienceMs, signal) =>
      registry.isAlive(hostId, patienceMs, signal),
    answerFor: (hostId, signal) => registry.answerFor(hostId, signal),
    reconnect: () => registry.reconnect(),
    close: () => registry.close(),
  };
}

function faultOf(error: unknown): string {
  return error instanceof RegistryError ? error.fault : "error";
}
