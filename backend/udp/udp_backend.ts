/**
 * flannel's `udp` backend: one raw IPv4 packet in each UDP datagram (compat 7).
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError } from "../../errors.ts";
import {
  LEAST_OVERLAY_MTU_BYTES,
  type OverlayMtu,
  overlayMtu,
  UDP_ENCAPSULATION_BYTES,
} from "../../net/mtu.ts";
import type { DropReader } from "../../net/dropped_packet.ts";
import type { PeerDiff, PeerTraffic } from "../../net/peer.ts";
import type { Overlay, UnderlayUse } from "../../net/underlay.ts";
import type {
  Backend,
  BackendAdvertisement,
  BackendContext,
  BackendStatus,
  BackendWarning,
} from "../backend.ts";
import {
  BackendStartError,
  NoDataPathError,
  UnderlayMtuError,
} from "../errors.ts";
import type {
  DataPathChoice,
  ReceiveChoice,
  SenderCheck,
  SourcePortChoice,
  UdpDataPath,
  UdpDataPathOptions,
} from "./data_path.ts";
import {
  IpsecPoliciesError,
  IpsecPoliciesGoneError,
  KernelPathUnavailableError,
} from "./ebpf/errors.ts";
import { removeKernelPath } from "./ebpf/remove.ts";
import { type EbpfParts, startEbpf } from "./ebpf/start_ebpf.ts";
import { IpsecWatch, type IpsecWatchParts } from "./ipsec_watch.ts";
import { startTun } from "./tun/start_tun.ts";

const IPPROTO_UDP = 17;

const log = getLogger(["loden", "backend"]);

/** What the backend needs. */
export interface UdpBackendParts extends EbpfParts, IpsecWatchParts {}

/** The backend's settings on this host. */
export interface UdpSettings {
  /** Name or pattern (`flannel%d`) of the overlay device. */
  readonly device: string;
  /** The requested data path. */
  readonly dataPath: DataPathChoice;
  /** How the kernel data path receives packets from the underlay. */
  readonly receive: ReceiveChoice;
  /** From which port the kernel data path sends. */
  readonly sourcePort: SourcePortChoice;
  readonly senderCheck: SenderCheck;
  /** Whether packets must come by an interface that leads to their sender. */
  readonly checksInterface: boolean;
  /** Words of {@linkcode UDP_FEATURES}. */
  readonly disabledFeatures: readonly string[];
}

/** Options of the backend. */
export interface UdpBackendOptions extends UdpSettings {
  /** Of every host of the cluster (compat 2.5). */
  readonly port: number;
  /** The alias that marks the device as this network's. */
  readonly deviceAlias: string;
}

/** See the module's text. Start an instance only once. */
export class UdpBackend implements Backend {
  readonly type = "udp";
  readonly checksSenders = true;
  readonly failed: Promise<void>;
  readonly #parts: UdpBackendParts;
  readonly #options: UdpBackendOptions;
  readonly #failure = Promise.withResolvers<void>();
  readonly #stopping = new AbortController();
  #path: UdpDataPath | undefined;
  #reason: string;
  /** IPsec policies that prevent the kernel data path. */
  #ipsec: IpsecPoliciesError | undefined;
  /** Until policies appear or disappear. */
  #watching: Promise<void> = Promise.resolve();

  constructor(parts: UdpBackendParts, options: UdpBackendOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#reason = options.dataPath === "auto"
      ? "not started"
      : `set by --datapath=${options.dataPath}`;
    this.failed = this.#failure.promise;
    this.failed.catch(() => {});
  }

  advertise(): BackendAdvertisement {
    return {
      backendType: this.type,
      ...(this.#path === undefined ? {} : { dataPath: this.#path.name }),
    };
  }

  /**
   * Throws {@linkcode UnderlayMtuError}, {@linkcode BackendStartError} if the
   * port, the device or a permission is not available, and
   * {@linkcode KernelPathUnavailableError} if only the kernel data path was
   * requested, and {@linkcode NoDataPathError} if neither works. In user space
   * also {@linkcode BackendFailedError} if the device or the worker fails, and
   * {@linkcode NetlinkError} if the kernel refuses the device's address or routes.
   */
  async start(context: BackendContext, signal: AbortSignal): Promise<Overlay> {
    const mtuBytes = overlayMtuOf(context);
    signal.throwIfAborted();
    const { port, device, deviceAlias, receive } = this.#options;
    const { senderCheck, checksInterface, sourcePort } = this.#options;
    const path = await this.#startPath({
      ...context,
      mtuBytes,
      port,
      device,
      deviceAlias,
      senderCheck,
      checksInterface,
      receive,
      sourcePort,
      disabledFeatures: this.#options.disabledFeatures,
    }, signal);
    this.#path = path;
    path.failed.then(
      () => {
        // A data path that is replaced on purpose ends without a failure: see
        // #leaveKernelPath.
        if (this.#path === path) this.#failure.resolve();
      },
      this.#failure.reject,
    );
    if (this.#options.dataPath === "auto") {
      this.#watching = this.#watchIpsec().catch(this.#failure.reject);
    }
    return { deviceName: path.deviceName, mtuBytes };
  }

  async #startPath(
    options: UdpDataPathOptions,
    signal: AbortSignal,
  ): Promise<UdpDataPath> {
    switch (this.#options.dataPath) {
      case "ebpf":
        return await startEbpf(this.#parts, options);
      case "tun":
        return await this.#startTun(options, signal);
      case "auto":
        break;
    }
    try {
      this.#refuseIpsec();
      const path = await startEbpf(this.#parts, options);
      this.#reason = "the fastest that works here";
      return path;
    } catch (error) {
      if (!(error instanceof KernelPathUnavailableError)) throw error;
      const reason = describeError(error);
      log.warn(
        "kernel data path cannot be used; packets go through user space",
        {
          event: "backend.fallback",
          reason,
        },
      );
      if (error.cause instanceof IpsecPoliciesError) this.#ipsec = error.cause;
      try {
        const path = await this.#startTun(options, signal);
        this.#reason = `the kernel data path cannot be used: ${reason}`;
        return path;
      } catch (tunError) {
        if (!(tunError instanceof BackendStartError)) throw tunError;
        throw new NoDataPathError(reason, tunError);
      }
    }
  }

  async #startTun(
    options: UdpDataPathOptions,
    signal: AbortSignal,
  ): Promise<UdpDataPath> {
    removeKernelPath(this.#parts, options.deviceAlias);
    return await startTun(this.#parts, options, signal);
  }

  /** An upgrade must not silently remove the protection of the underlay. */
  #refuseIpsec(): void {
    let count: number;
    try {
      count = this.#parts.countIpsecPolicies();
    } catch (error) {
      throw new KernelPathUnavailableError(error);
    }
    if (count === 0) return;
    throw new KernelPathUnavailableError(new IpsecPoliciesError(count));
  }

  /**
   * The other data path needs a new backend: this one fails with the reason.
   */
  async #watchIpsec(): Promise<void> {
    const { signal } = this.#stopping;
    const watch = new IpsecWatch(this.#parts);
    if (this.#path?.name === "ebpf") {
      const count = await watch.until("some", signal);
      if (count === undefined) return;
      await this.#leaveKernelPath(new IpsecPoliciesError(count));
    } else if (this.#ipsec !== undefined) {
      const count = await watch.until("none", signal);
      if (count === undefined) return;
      this.#failure.reject(new IpsecPoliciesGoneError());
    }
  }

  /**
   * At once: from here on no packet uses the kernel data path. Until user space
   * runs, the unreachable route answers.
   */
  async #leaveKernelPath(reason: IpsecPoliciesError): Promise<void> {
    const path = this.#path;
    this.#path = undefined;
    const stopped = path?.stop();
    try {
      removeKernelPath(this.#parts, this.#options.deviceAlias);
    } finally {
      this.#failure.reject(reason);
      await stopped;
    }
  }

  async apply(diff: PeerDiff): Promise<void> {
    await this.#path?.changePeers(diff);
  }

  status(): BackendStatus {
    return {
      type: this.type,
      dataPath: this.#path?.name ?? "none",
      reason: this.#reason,
      device: this.#path?.deviceName,
      peers: this.#path?.peerCount ?? 0,
      outlivesAgent: this.#path?.outlivesAgent ?? false,
      details: this.#path?.details() ?? {},
      counters: this.#path?.counters() ?? {},
    };
  }

  peerTraffic(): readonly PeerTraffic[] {
    return this.#path?.peerTraffic?.() ?? [];
  }

  underlayUse(): UnderlayUse | undefined {
    if (this.#path === undefined) return undefined;
    const { sourcePorts } = this.#path;
    return {
      traffic: [{
        protocol: IPPROTO_UDP,
        port: this.#options.port,
        ...(sourcePorts !== undefined && { sourcePorts }),
      }],
      devices: this.#path.underlayDevices(),
    };
  }

  drops(): DropReader | undefined {
    return this.#path?.drops;
  }

  warnings(): readonly BackendWarning[] {
    return this.#ipsec === undefined
      ? []
      : [{ code: "data-path.ipsec", text: describeError(this.#ipsec) }];
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#watching;
    await this.#path?.stop();
    this.#failure.resolve();
  }

  /** A device of user space has gone with its worker. */
  remove(): void {
    removeKernelPath(this.#parts, this.#options.deviceAlias);
  }
}

function overlayMtuOf({ underlay }: BackendContext): OverlayMtu {
  const bytes = underlay.mtuBytes - UDP_ENCAPSULATION_BYTES;
  if (bytes < LEAST_OVERLAY_MTU_BYTES) {
    throw new UnderlayMtuError(
      underlay.interfaceName,
      underlay.mtuBytes,
      LEAST_OVERLAY_MTU_BYTES + UDP_ENCAPSULATION_BYTES,
    );
  }
  return overlayMtu(bytes);
}
