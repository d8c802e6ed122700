/**
 * The user-space data path: workers between a TUN device and a UDP socket.
 *
 * @module
 */

import { describeError } from "../../../errors.ts";
import { libc } from "../../../linux/libc.ts";
import { openEventDescriptor, signalEvent } from "../../../linux/poll.ts";
import type { TunDevice } from "../../../linux/tun.ts";
import type { UdpSocket } from "../../../linux/udp_socket.ts";
import type { Peer } from "../../../net/peer.ts";
import { BackendFailedError } from "../../errors.ts";
import type { DataPathFeatures } from "../features.ts";
import { compilePacketKernel } from "./packet_kernel.ts";
import { SharedState, type SharedStateOptions } from "./shared_state.ts";
import { WorkerThread } from "./worker_thread.ts";

/** A worker that takes longer than this to look up is stuck. */
const WORKER_PATIENCE_MS = 2_000;
/** The whole agent stops within a second. */
const STOP_PATIENCE_MS = 400;

/** What the data path is made of. */
export interface TunDataPathOptions
  extends Omit<SharedStateOptions, "coalesceTcp" | "coalesceUdp"> {
  readonly tun: TunDevice;
  readonly socket: UdpSocket;
  readonly udpPort: number;
  readonly features: DataPathFeatures;
}

/** Owns the workers and, once started, the descriptors. */
export class TunDataPath {
  readonly #options: TunDataPathOptions;
  readonly #state: SharedState;
  readonly #module = compilePacketKernel();
  readonly #wakePrimary = openEventDescriptor();
  readonly #wakeHelper = openEventDescriptor();
  readonly #primary: WorkerThread;
  #helper: WorkerThread | undefined;
  readonly #failure = Promise.withResolvers<void>();
  #stopping: Promise<void> | undefined;
  #tableChanges: Promise<void> = Promise.resolve();

  /** Rejects when a worker ends unasked; resolves after `stop`. */
  get failed(): Promise<void> {
    return this.#failure.promise;
  }

  private constructor(options: TunDataPathOptions) {
    this.#options = options;
    this.#failure.promise.catch(() => {});
    this.#state = new SharedState({
      network: options.network,
      subnet: options.subnet,
      senderCheck: options.senderCheck,
      coalesceTcp: options.features.tunTcp,
      coalesceUdp: options.features.tunUdp,
    });
    this.#primary = this.#startWorker("primary");
  }

  /**
   * Starts the worker; resolves when it forwards packets. Throws
   * {@linkcode BackendFailedError} when it cannot; the descriptors are closed then.
   */
  static async start(options: TunDataPathOptions): Promise<TunDataPath> {
    const path = new TunDataPath(options);
    try {
      await path.#primary.running;
    } catch (cause) {
      await path.stop();
      throw new BackendFailedError(options.tun.name, describeError(cause), {
        cause,
      });
    }
    return path;
  }

  #startWorker(role: "primary" | "helper"): WorkerThread {
    const { tun, socket, udpPort, features } = this.#options;
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
      features,
    }, {
      onWantsHelper: () => this.#startHelper(),
      onFailure: (reason) =>
        this.#failure.reject(new BackendFailedError(tun.name, reason)),
    });
  }

  #startHelper(): void {
    if (this.#stopping || this.#helper || navigator.hardwareConcurrency < 2) {
      return;
    }
    this.#helper = this.#startWorker("helper");
  }

  /** Replaces all peers at once, while packets flow. */
  setPeers(peers: readonly Peer[]): Promise<void> {
    const change = this.#tableChanges.then(() => this.#replaceTable(peers));
    this.#tableChanges = change.catch(() => {});
    return change;
  }

  async #replaceTable(peers: readonly Peer[]): Promise<void> {
    if (this.#stopping) return;
    this.#state.writePeers(peers);
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

  /** Ends the workers and closes the descriptors; the device stays. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#state.requestStop();
    this.#wakeAll();
    await Promise.all([
      this.#primary.end(STOP_PATIENCE_MS),
      this.#helper?.end(STOP_PATIENCE_MS),
    ]);
    this.#failure.resolve();
    for (
      const descriptor of [
        this.#options.tun.descriptor,
        this.#options.socket.descriptor,
        this.#wakePrimary,
        this.#wakeHelper,
      ]
    ) {
      libc().close(descriptor);
    }
  }
}
