/**
 * The user-space data path: workers between a TUN device and a UDP socket.
 *
 * @module
 */

import { deadline } from "@std/async/deadline";
import { getLogger } from "@logtape/logtape";
import { describeError } from "../../../errors.ts";
import { libc } from "../../../linux/libc.ts";
import { openEventDescriptor, signalEvent } from "../../../linux/poll.ts";
import type { TunDevice } from "../../../linux/tun.ts";
import type { UdpSocket } from "../../../linux/udp_socket.ts";
import type { PeerDiff } from "../../../net/peer.ts";
import { BackendFailedError } from "../../errors.ts";
import type { DataPathFeatures } from "../features.ts";
import { recordDrops, type RecordedDrop, takeDrops } from "./drop_rings.ts";
import { compilePacketKernel } from "./packet_kernel.ts";
import { SharedState, type SharedStateOptions } from "./shared_state.ts";
import { WorkerThread } from "./worker_thread.ts";

const log = getLogger(["loden", "backend"]);

/** A worker that takes longer than this to look up is stuck. */
const WORKER_PATIENCE_MS = 2_000;
/** Loading its code takes some 50 ms; a busy host may need many times that. */
const START_PATIENCE_MS = 10_000;
/**
 * A second thread helps if there is a processor for it in addition to those of
 * the first thread and the containers. With two processors it moved no more and
 * cost 35 MB.
 */
const HELPER_PROCESSORS = 3;
/** The whole agent stops within a second. */
const STOP_PATIENCE_MS = 400;

/** What the data path is made of. */
export interface TunDataPathOptions
  extends Omit<SharedStateOptions, "coalesceTcp" | "coalesceUdp"> {
  readonly udpPort: number;
  readonly checksInterface: boolean;
  readonly tun: TunDevice;
  readonly socket: UdpSocket;
  readonly features: DataPathFeatures;
  /** How many processors there are; the machine's by default. */
  readonly processors?: number;
  /** Another worker than the data path's own: for tests. */
  readonly workerCode?: URL;
}

/** Owns the workers and, once started, the descriptors. */
export class TunDataPath {
  readonly #options: TunDataPathOptions;
  readonly #state: SharedState;
  readonly #module = compilePacketKernel();
  readonly #wakePrimary: number;
  readonly #wakeHelper: number;
  readonly #primary: WorkerThread;
  #helper: WorkerThread | undefined;
  readonly #failure = Promise.withResolvers<void>();
  #stopping: Promise<void> | undefined;
  #tableChanges: Promise<void> = Promise.resolve();

  /** Rejects when a worker ends unasked; resolves after `stop`. */
  get failed(): Promise<void> {
    return this.#failure.promise;
  }

  private constructor(
    options: TunDataPathOptions,
    wakePrimary: number,
    wakeHelper: number,
  ) {
    this.#options = options;
    this.#wakePrimary = wakePrimary;
    this.#wakeHelper = wakeHelper;
    this.#failure.promise.catch(() => {});
    this.#state = new SharedState({
      network: options.network,
      subnet: options.subnet,
      senderCheck: options.senderCheck,
      mtuBytes: options.mtuBytes,
      coalesceTcp: options.features.tunTcp,
      coalesceUdp: options.features.tunUdp,
    });
    this.#primary = this.#startWorker("primary");
  }

  /**
   * Starts the worker; resolves when it forwards packets. Throws
   * {@linkcode BackendFailedError} when it cannot or takes too long, and the
   * signal's reason; the descriptors are closed then.
   */
  static async start(
    options: TunDataPathOptions,
    signal: AbortSignal,
  ): Promise<TunDataPath> {
    const path = TunDataPath.#create(options);
    try {
      await deadline(path.#primary.running, START_PATIENCE_MS, { signal });
    } catch (cause) {
      await path.stop();
      signal.throwIfAborted();
      const isLate = cause instanceof DOMException;
      const reason = isLate
        ? `its worker did not start within ${START_PATIENCE_MS / 1_000} s`
        : describeError(cause);
      throw new BackendFailedError(options.tun.name, reason, { cause });
    }
    return path;
  }

  static #create(options: TunDataPathOptions): TunDataPath {
    const descriptors = [options.tun.descriptor, options.socket.descriptor];
    try {
      const wakePrimary = openEventDescriptor();
      descriptors.push(wakePrimary);
      const wakeHelper = openEventDescriptor();
      descriptors.push(wakeHelper);
      return new TunDataPath(options, wakePrimary, wakeHelper);
    } catch (error) {
      closeAll(descriptors);
      throw error;
    }
  }

  #startWorker(role: "primary" | "helper"): WorkerThread {
    const { tun, socket, udpPort, features, workerCode } = this.#options;
    const { checksInterface } = this.#options;
    const isPrimary = role === "primary";
    return new WorkerThread({
      role,
      memory: this.#state.memory,
      module: this.#module,
      tunDescriptor: tun.descriptor,
      udpDescriptor: socket.descriptor,
      wakeUpDescriptor: isPrimary ? this.#wakePrimary : this.#wakeHelper,
      otherWakeUpDescriptor: isPrimary ? this.#wakeHelper : this.#wakePrimary,
      udpPort,
      checksInterface,
      features,
    }, {
      onWantsHelper: () => this.#startHelper(),
      onFailure: (reason) =>
        this.#failure.reject(new BackendFailedError(tun.name, reason)),
    }, workerCode);
  }

  #startHelper(): void {
    const { processors = navigator.hardwareConcurrency } = this.#options;
    if (this.#stopping || this.#helper || processors < HELPER_PROCESSORS) {
      return;
    }
    this.#helper = this.#startWorker("helper");
  }

  get peerCount(): number {
    return this.#state.peerCount;
  }

  /** Brings the peers up to date, while packets flow. */
  changePeers(diff: PeerDiff): Promise<void> {
    const change = this.#tableChanges.then(() => this.#changeTable(diff));
    this.#tableChanges = change.catch(() => {});
    return change;
  }

  async #changeTable(diff: PeerDiff): Promise<void> {
    if (this.#stopping) return;
    this.#state.changePeers(diff);
    this.#wakeAll();
    if (!await this.#state.peersTaken(WORKER_PATIENCE_MS)) {
      throw new BackendFailedError(
        this.#options.tun.name,
        `its worker did not take new peers within ${WORKER_PATIENCE_MS} ms`,
      );
    }
  }

  #wakeAll(): void {
    signalEvent(this.#wakePrimary);
    signalEvent(this.#wakeHelper);
  }

  counters(): Record<string, number> {
    return this.#state.counters();
  }

  /** What was dropped since the last call; records from the first one on. */
  takeDrops(): RecordedDrop[] {
    const { buffer } = this.#state.memory;
    recordDrops(buffer, true);
    return takeDrops(buffer);
  }

  /** Records no more, and forgets what is there. */
  endDrops(): void {
    const { buffer } = this.#state.memory;
    recordDrops(buffer, false);
    takeDrops(buffer);
  }

  /** Ends the workers and closes the descriptors; the device stays. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#state.requestStop();
    this.#wakeAll();
    const ended = await Promise.all([
      this.#primary.end(STOP_PATIENCE_MS),
      this.#helper?.end(STOP_PATIENCE_MS) ?? true,
    ]);
    this.#failure.resolve();
    if (!ended.every((one) => one)) {
      // It may return from its system call and must not find its descriptor
      // numbers reused.
      log.error("a worker did not stop: its descriptors stay open", {
        event: "backend.worker-stuck",
        device: this.#options.tun.name,
      });
      return;
    }
    closeAll([
      this.#options.tun.descriptor,
      this.#options.socket.descriptor,
      this.#wakePrimary,
      this.#wakeHelper,
    ]);
  }
}

function closeAll(descriptors: readonly number[]): void {
  for (const descriptor of descriptors) libc().close(descriptor);
}
