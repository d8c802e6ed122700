/**
 * Keeps a backend running: starts it, passes it the peers, restarts it if it
 * fails. Nothing above it (etcd, the lease, the files) can stop it.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type {
  Backend,
  BackendAdvertisement,
  BackendContext,
} from "../../backend/backend.ts";
import { describeError } from "../../errors.ts";
import { Backoff } from "../../linux/backoff.ts";
import { TaskQueue } from "../../linux/task_queue.ts";
import { formatCidr } from "../../net/cidr.ts";
import { applyPeerDiff, type Peer, type PeerDiff } from "../../net/peer.ts";
import type { Overlay } from "../../net/underlay.ts";
import { type RetryComponents, retryUntilDone } from "../tasks/retry.ts";

const log = getLogger(["loden", "agent"]);

/** A backend that ran this long counts as working: restart it at once. */
const GOOD_RUN_MS = 10_000;
const PAUSES = { firstMs: 500, maxMs: 5_000 };

/** Callbacks of the keeper. */
export interface BackendEvents {
  /** The first start failed and is tried again. */
  onWaiting(error: unknown): void;
  /**
   * It ran, failed and is being restarted; `flowsOn` says whether packets keep
   * flowing in the kernel meanwhile.
   */
  onDown(error: unknown, flowsOn: boolean): void;
  /** Packets flow (again). */
  onUp(overlay: Overlay, advertisement: BackendAdvertisement): void;
}

/** How to create one. */
export interface BackendKeeperOptions {
  /** Creates a backend for each start; a failed one is never used again. */
  readonly createBackend: () => Backend;
  readonly events: BackendEvents;
  /** Another backend carries the packets until this one runs: no failure is final. */
  readonly keepsTrying?: boolean;
}

/** A running backend, and the peers that it has been given. */
interface Running {
  readonly backend: Backend;
  readonly context: BackendContext;
  readonly startedAtMs: number;
  readonly applied: Map<string, Peer>;
}

/** One backend, kept alive. */
export class BackendKeeper {
  readonly #components: RetryComponents;
  readonly #options: BackendKeeperOptions;
  readonly #stopping = new AbortController();
  /** Aborted by a start with another context. */
  #superseding = new AbortController();
  #hasRun = false;
  /** The wanted peers, by subnet. */
  readonly #peers = new Map<string, Peer>();
  /** Subnets whose peers the backend may not know yet. */
  #touched = new Set<string>();
  #running: Running | undefined;
  /** It has failed and is not stopped yet. */
  #failed: Backend | undefined;
  /** Serialises starts, changes of peers and stops. */
  readonly #queue = new TaskQueue();
  /** Starts that are called for and have not ended. */
  #starts = 0;
  /** Those of them that have not begun. */
  #startsAhead = 0;
  #restarts = 0;
  /** Pauses between backends that start and fail soon. */
  readonly #pauses: Backoff;

  constructor(components: RetryComponents, options: BackendKeeperOptions) {
    this.#components = components;
    this.#pauses = new Backoff(components.random, PAUSES);
    this.#options = options;
  }

  /** How often the backend was restarted after a failure. */
  get restarts(): number {
    return this.#restarts;
  }

  /** The peers that the backend has or will have. */
  get peers(): ReadonlyMap<string, Peer> {
    return this.#peers;
  }

  /** The backend that runs, if one does. */
  get running(): Backend | undefined {
    return this.#running?.backend;
  }

  /**
   * Starts a backend in place of the running one, and waits if waiting may
   * help. A newer start ends one in progress.
   *
   * @throws errors that waiting cannot cure, unless a backend has run before;
   * an `AbortError` if aborted or superseded.
   */
  async start(context: BackendContext, signal: AbortSignal): Promise<Overlay> {
    this.#superseding.abort(
      new DOMException("a newer start replaces this one", "AbortError"),
    );
    this.#superseding = new AbortController();
    const ending = AbortSignal.any([signal, this.#lifetime()]);
    this.#starts++;
    this.#startsAhead++;
    try {
      return await this.#queue.run(async () => {
        this.#startsAhead--;
        ending.throwIfAborted();
        const before = this.#running?.backend ?? this.#failed;
        const flowsOn = before?.status().outlivesAgent ?? false;
        this.#running = undefined;
        this.#failed = undefined;
        if (before !== undefined) await discard(before);
        return await this.#startUntilDone(context, ending, flowsOn);
      });
    } finally {
      this.#starts--;
    }
  }

  /**
   * Applies a change of peers. If no backend runs, the change is only
   * remembered; the next one gets all peers at once.
   */
  async apply(diff: PeerDiff): Promise<void> {
    applyPeerDiff(this.#peers, diff);
    for (const peers of [diff.added, diff.changed, diff.removed]) {
      for (const { subnet } of peers) this.#touched.add(formatCidr(subnet));
    }
    const applied = this.#queue.run(async () => {
      const running = this.#running;
      if (running === undefined) return;
      try {
        await this.#applyPeers(running);
      } catch (error) {
        // A data path whose set of peers is unknown must be replaced.
        this.#onFailed(running.backend, error);
      }
    });
    // A start may wait for hours; a change of peers must not wait for it.
    if (this.#running !== undefined && this.#starts === 0) await applied;
  }

  /** Stops the process's part; what runs in the kernel alone stays. */
  async stop(): Promise<void> {
    this.#stopping.abort(new DOMException("stopping", "AbortError"));
    await this.#queue.run(async () => {
      const running = this.#running;
      this.#running = undefined;
      await running?.backend.stop();
    });
  }

  /** Stops, and removes what runs in the kernel. */
  async remove(): Promise<void> {
    this.#stopping.abort(new DOMException("removed", "AbortError"));
    await this.#queue.run(async () => {
      const running = this.#running;
      this.#running = undefined;
      if (running === undefined) return;
      await discard(running.backend);
      try {
        await running.backend.remove?.();
      } catch (error) {
        log.warn("former backend is not removed completely", {
          event: "backend.not-removed",
          backend: running.backend.type,
          error,
        });
      }
    });
  }

  /** For a start and the restarts after it. */
  #lifetime(): AbortSignal {
    return AbortSignal.any([this.#stopping.signal, this.#superseding.signal]);
  }

  async #startUntilDone(
    context: BackendContext,
    signal: AbortSignal,
    flowsOn: boolean,
  ): Promise<Overlay> {
    const { onWaiting, onDown } = this.#options.events;
    return await retryUntilDone(
      async () => {
        try {
          return await this.#startOnce(context, signal);
        } catch (error) {
          signal.throwIfAborted();
          if (!this.#hasRun && !this.#options.keepsTrying) throw error;
          // Once the network has run, no failure is final, because the host may
          // be repaired. An error without a class of ours is always tried
          // again.
          throw new Error(describeError(error), { cause: error });
        }
      },
      this.#components,
      {
        signal,
        onFailure: (error) =>
          this.#hasRun ? onDown(error, flowsOn) : onWaiting(error),
      },
    );
  }

  async #startOnce(
    context: BackendContext,
    signal: AbortSignal,
  ): Promise<Overlay> {
    const backend = this.#options.createBackend();
    try {
      const overlay = await backend.start(context, signal);
      const startedAtMs = this.#components.clock.monotonic();
      const running = { backend, context, startedAtMs, applied: new Map() };
      this.#touched = new Set(this.#peers.keys());
      await this.#applyPeers(running);
      // A start that ignores the signal must not outlive the stop.
      signal.throwIfAborted();
      this.#running = running;
      this.#hasRun = true;
      backend.failed.catch((error) => this.#onFailed(backend, error));
      this.#options.events.onUp(overlay, backend.advertise());
      return overlay;
    } catch (error) {
      await discard(backend);
      throw error;
    }
  }

  async #applyPeers(running: Running): Promise<void> {
    const { applied, backend } = running;
    const diff = difference(applied, this.#peers, this.#touched);
    this.#touched = new Set();
    if (diff.added.length + diff.changed.length + diff.removed.length === 0) {
      return;
    }
    await backend.apply(diff);
    applyPeerDiff(applied, diff);
  }

  #onFailed(backend: Backend, error: unknown): void {
    const running = this.#running;
    // A backend may fail twice, and again while it is being stopped.
    if (running?.backend !== backend || this.#stopping.signal.aborted) return;
    this.#running = undefined;
    this.#failed = backend;
    this.#restarts++;
    const flowsOn = backend.status().outlivesAgent ?? false;
    this.#options.events.onDown(error, flowsOn);
    // A start that waits its turn replaces it.
    if (this.#startsAhead > 0) return;
    const lifetime = this.#lifetime();
    this.#queue.run(() => this.#restart(running, flowsOn, lifetime))
      .catch((cause) => {
        if (lifetime.aborted) return;
        log.error("data path restart ended", {
          event: "data-path.restart-ended",
          error: cause,
        });
      });
  }

  async #restart(
    { backend, context, startedAtMs }: Running,
    flowsOn: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock } = this.#components;
    this.#failed = undefined;
    await discard(backend);
    if (clock.monotonic() - startedAtMs >= GOOD_RUN_MS) this.#pauses.reset();
    else await clock.sleep(this.#pauses.next(), signal);
    await this.#startUntilDone(context, signal, flowsOn);
  }
}

async function discard(backend: Backend): Promise<void> {
  // The failure of a backend that is not in use is not awaited.
  backend.failed.catch(() => {});
  try {
    await backend.stop();
  } catch (error) {
    log.warn("failed backend did not stop cleanly", {
      event: "data-path.stop-failed",
      error,
    });
  }
}

/**
 * The difference for `subnets`. Peers are replaced, never mutated: the same
 * object is the same peer.
 */
function difference(
  before: ReadonlyMap<string, Peer>,
  after: ReadonlyMap<string, Peer>,
  subnets: ReadonlySet<string>,
): PeerDiff {
  const added: Peer[] = [];
  const changed: Peer[] = [];
  const removed: Peer[] = [];
  for (const subnet of subnets) {
    const [old, now] = [before.get(subnet), after.get(subnet)];
    if (old === now) continue;
    if (old === undefined) added.push(now!);
    else if (now === undefined) removed.push(old);
    else changed.push(now);
  }
  return { added, changed, removed };
}
