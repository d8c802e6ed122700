/**
 * The user-space data path: a worker between a TUN device and a UDP socket.
 *
 * @module
 */

import { libc } from "../../../linux/libc.ts";
import { openEventDescriptor, signalEvent } from "../../../linux/poll.ts";
import type { TunDevice } from "../../../linux/tun.ts";
import type { UdpSocket } from "../../../linux/udp_socket.ts";
import type { Peer } from "../../../net/peer.ts";
import { BackendFailedError } from "../../errors.ts";
import type { DataPathFeatures } from "../features.ts";
import { compilePacketKernel } from "./packet_kernel.ts";
import { SharedState, type SharedStateOptions } from "./shared_state.ts";
import type { StartMessage, WorkerMessage } from "./worker_messages.ts";

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

/** Owns the worker and, once started, the two descriptors. */
export class TunDataPath {
  readonly #options: TunDataPathOptions;
  readonly #state: SharedState;
  readonly #wakeUp: number;
  readonly #worker: Worker;
  readonly #running = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  #stopping: Promise<void> | undefined;
  #tableChanges: Promise<void> = Promise.resolve();

  /** Rejects when the worker ends unasked; resolves after `stop`. */
  get failed(): Promise<void> {
    return this.#ended.promise;
  }

  private constructor(options: TunDataPathOptions) {
    this.#options = options;
    this.#state = new SharedState({
      network: options.network,
      subnet: options.subnet,
      senderCheck: options.senderCheck,
      coalesceTcp: options.features.tunTcp,
      coalesceUdp: options.features.tunUdp,
    });
    this.#wakeUp = openEventDescriptor();
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url), {
      type: "module",
      name: "data-path",
    });
    this.#ended.promise.catch(() => {});
    this.#running.promise.catch(() => {});
    this.#worker.onmessage = ({ data }: MessageEvent<WorkerMessage>) =>
      this.#onMessage(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(event.message);
    };
  }

  /** Starts the worker; resolves when it forwards packets. */
  static async start(options: TunDataPathOptions): Promise<TunDataPath> {
    const path = new TunDataPath(options);
    const message: StartMessage = {
      memory: path.#state.memory,
      module: compilePacketKernel(),
      tunDescriptor: options.tun.descriptor,
      udpDescriptor: options.socket.descriptor,
      wakeUpDescriptor: path.#wakeUp,
      udpPort: options.udpPort,
      features: options.features,
    };
    path.#worker.postMessage(message);
    try {
      await path.#running.promise;
    } catch (error) {
      await path.stop();
      throw error;
    }
    return path;
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
    signalEvent(this.#wakeUp);
    if (!await this.#state.peersTaken(WORKER_PATIENCE_MS)) {
      throw new BackendFailedError(
        this.#options.tun.name,
        `its worker did not take new peers within ${WORKER_PATIENCE_MS} ms`,
      );
    }
  }

  counters(): Record<string, number> {
    return this.#state.counters();
  }

  /** Ends the worker and closes the descriptors; the device stays. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#state.requestStop();
    signalEvent(this.#wakeUp);
    let timer: ReturnType<typeof setTimeout> | undefined;
    await Promise.race([
      this.#ended.promise.catch(() => {}),
      new Promise<void>((resolve) => {
        timer = setTimeout(resolve, STOP_PATIENCE_MS);
      }),
    ]);
    clearTimeout(timer);
    this.#worker.terminate();
    this.#ended.resolve();
    for (
      const descriptor of [
        this.#options.tun.descriptor,
        this.#options.socket.descriptor,
        this.#wakeUp,
      ]
    ) {
      libc().close(descriptor);
    }
  }

  #onMessage(message: WorkerMessage): void {
    switch (message.type) {
      case "running":
        this.#running.resolve();
        break;
      case "ended":
        if (message.errno === 0) this.#ended.resolve();
        else this.#fail("the device is gone or refuses to be read");
        break;
      case "failed":
        this.#fail(message.message);
        break;
    }
  }

  #fail(reason: string): void {
    const error = new BackendFailedError(this.#options.tun.name, reason);
    this.#running.reject(error);
    this.#ended.reject(error);
  }
}
