/**
 * A backend without packets, which fails when a test says so.
 *
 * @module
 */

import type {
  Backend,
  BackendAdvertisement,
  BackendContext,
  BackendStatus,
} from "../../backend/backend.ts";
import { formatCidr } from "../../net/cidr.ts";
import { overlayMtu, UDP_ENCAPSULATION_BYTES } from "../../net/mtu.ts";
import type { DataPathName, Peer, PeerDiff } from "../../net/peer.ts";
import type { Overlay } from "../../net/underlay.ts";

/** What a test can make go wrong. */
export interface FakeBackendOptions {
  /** `udp` by default. */
  readonly type?: string;
  /** Thrown by each start while it returns an error. */
  readonly startError?: () => unknown;
  /** Thrown by each apply while it returns an error. */
  readonly applyError?: () => unknown;
  /** A start that takes until this resolves; it is deaf to its signal. */
  readonly startDelay?: () => Promise<void>;
  /** A stop that takes until this resolves. */
  readonly stopDelay?: () => Promise<void>;
  /** Whether packets flow on without the process. */
  readonly outlivesAgent?: boolean;
  /** What a start finds to be the data path; none by default. */
  readonly dataPath?: () => DataPathName;
  /** Whether it has no device, like host-gw; it has one by default. */
  readonly hasNoDevice?: (type: string) => boolean;
  /** Told of every call, in order. */
  readonly onCall?: (call: string) => void;
}

/** Keeps what it is given and carries nothing. */
export class FakeBackend implements Backend {
  readonly type: string;
  readonly checksSenders: boolean;
  readonly failed: Promise<never | void>;
  readonly peers = new Map<string, Peer>();
  readonly #options: FakeBackendOptions;
  readonly #failure = Promise.withResolvers<void>();
  context: BackendContext | undefined;
  stopped = false;
  removed = false;

  constructor(options: FakeBackendOptions = {}) {
    this.#options = options;
    this.type = options.type ?? "udp";
    this.checksSenders = this.type === "udp";
    this.failed = this.#failure.promise;
  }

  advertise(): BackendAdvertisement {
    const dataPath = this.context && this.#options.dataPath?.();
    return { backendType: this.type, ...dataPath && { dataPath } };
  }

  async start(context: BackendContext, signal: AbortSignal): Promise<Overlay> {
    signal.throwIfAborted();
    this.#options.onCall?.("backend.start");
    await this.#options.startDelay?.();
    const error = this.#options.startError?.();
    if (error !== undefined) throw error;
    this.context = context;
    return {
      deviceName: this.#options.hasNoDevice?.(this.type)
        ? undefined
        : "flannel0",
      mtuBytes: overlayMtu(
        context.underlay.mtuBytes - UDP_ENCAPSULATION_BYTES,
      ),
    };
  }

  apply(diff: PeerDiff): Promise<void> {
    this.#options.onCall?.("backend.apply");
    const error = this.#options.applyError?.();
    if (error !== undefined) return Promise.reject(error);
    for (const { subnet } of diff.removed) {
      this.peers.delete(formatCidr(subnet));
    }
    for (const peer of [...diff.added, ...diff.changed]) {
      this.peers.set(formatCidr(peer.subnet), peer);
    }
    return Promise.resolve();
  }

  status(): BackendStatus {
    return {
      type: this.type,
      dataPath: "fake",
      outlivesAgent: this.#options.outlivesAgent ?? false,
      reason: "a test asked for it",
      device: "flannel0",
      peers: this.peers.size,
      counters: { sentPackets: 3, receivedPackets: 2, droppedNoPeer: 1 },
    };
  }

  remove(): void {
    this.#options.onCall?.("backend.remove");
    this.removed = true;
  }

  /** The data path dies: device deleted, worker gone. */
  fail(error: unknown): void {
    this.#failure.reject(error);
  }

  async stop(): Promise<void> {
    this.#options.onCall?.("backend.stop");
    await this.#options.stopDelay?.();
    this.stopped = true;
    this.#failure.resolve();
  }
}
