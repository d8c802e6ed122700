/**
 * flannel's `udp` backend: one raw IPv4 packet in each UDP datagram (compat 7).
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../linux/clock.ts";
import { SystemCallError } from "../../linux/errno.ts";
import { libc } from "../../linux/libc.ts";
import type { Rtnetlink } from "../../linux/netlink/rtnetlink.ts";
import { openTun, type TunDevice } from "../../linux/tun.ts";
import { openUdpSocket, type UdpSocket } from "../../linux/udp_socket.ts";
import { formatCidr } from "../../net/cidr.ts";
import { formatIpv4 } from "../../net/ipv4.ts";
import {
  type OverlayMtu,
  overlayMtu,
  UDP_ENCAPSULATION_BYTES,
} from "../../net/mtu.ts";
import type { Peer, PeerDiff } from "../../net/peer.ts";
import type { Overlay } from "../../net/underlay.ts";
import type {
  Backend,
  BackendAdvertisement,
  BackendContext,
  BackendStatus,
} from "../backend.ts";
import { BackendStartError, UnderlayMtuError } from "../errors.ts";
import {
  type DataPathFeatures,
  describeFeatures,
  wantedFeatures,
} from "./features.ts";
import {
  configureOverlayDevice,
  findOwnedDevice,
  type OverlayDevice,
} from "./overlay_device.ts";
import { OverlayKeeper } from "./overlay_keeper.ts";
import type { SenderCheck } from "./tun/shared_state.ts";
import { TunDataPath } from "./tun/tun_data_path.ts";

const log = getLogger(["loden", "backend"]);

/** RFC 791: every network passes 68 bytes. */
const LEAST_OVERLAY_MTU_BYTES = 68;
/** What the kernel may hold for the socket: a few hundred super-packets. */
const SOCKET_BUFFER_BYTES = 8 * 1024 * 1024;

/** What the backend stands on. */
export interface UdpBackendParts {
  readonly rtnetlink: Rtnetlink;
  readonly clock: Pick<Clock, "sleep">;
}

/** `auto` is the best that works here. */
export type DataPathChoice = "auto" | "ebpf" | "tun";
/** `auto` is the best for each underlay device. */
export type ReceiveChoice = "auto" | "xdp" | "gro" | "direct";

/** How the backend works. */
export interface UdpBackendOptions {
  /** Of every host of the cluster (compat 2.5). */
  readonly port: number;
  /** Name or pattern (`flannel%d`) of the overlay device. */
  readonly device: string;
  /** The alias that marks the device as this network's. */
  readonly deviceAlias: string;
  /** Which data path a person wants. */
  readonly dataPath: DataPathChoice;
  /** How the kernel data path takes packets from the underlay. */
  readonly receive: ReceiveChoice;
  readonly senderCheck: SenderCheck;
  /** Words of {@linkcode UDP_FEATURES}. */
  readonly disabledFeatures: readonly string[];
}

/** See the module's text. One instance is started once. */
export class UdpBackend implements Backend {
  readonly type = "udp";
  readonly failed: Promise<void>;
  readonly #parts: UdpBackendParts;
  readonly #options: UdpBackendOptions;
  readonly #failure = Promise.withResolvers<void>();
  readonly #peers = new Map<string, Peer>();
  readonly #stopping = new AbortController();
  #path: TunDataPath | undefined;
  #keeping: Promise<void> | undefined;
  #device: string | undefined;
  #features: DataPathFeatures;

  constructor(parts: UdpBackendParts, options: UdpBackendOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#features = wantedFeatures(options.disabledFeatures);
    this.failed = this.#failure.promise;
    this.failed.catch(() => {});
  }

  advertise(): BackendAdvertisement {
    return { backendType: this.type };
  }

  /**
   * Throws {@linkcode BackendStartError}, {@linkcode UnderlayMtuError} or, when
   * the device or the worker is not as it must be, {@linkcode BackendFailedError};
   * {@linkcode NetlinkError} when the kernel refuses the device's address or routes.
   */
  async start(context: BackendContext, signal: AbortSignal): Promise<Overlay> {
    const mtuBytes = overlayMtuOf(context);
    signal.throwIfAborted();
    const { tun, socket } = this.#open(context);
    this.#device = tun.name;
    this.#features = {
      ...this.#features,
      tunTcp: tun.tcpOffload,
      tunUdp: tun.udpOffload,
      udpSegment: socket.segment,
      udpGro: socket.gro,
    };
    const overlayDevice: OverlayDevice = {
      ...context,
      name: tun.name,
      alias: this.#options.deviceAlias,
      mtuBytes,
    };
    try {
      configureOverlayDevice(this.#parts.rtnetlink, overlayDevice);
    } catch (error) {
      libc().close(tun.descriptor);
      libc().close(socket.descriptor);
      throw error;
    }
    this.#path = await TunDataPath.start({
      network: context.network,
      subnet: context.subnet,
      senderCheck: this.#options.senderCheck,
      tun,
      socket,
      udpPort: this.#options.port,
      features: this.#features,
    }, signal);
    this.#path.failed.then(this.#failure.resolve, this.#failure.reject)
      .finally(() => this.#stopping.abort());
    this.#keeping = new OverlayKeeper(this.#parts, overlayDevice)
      .run(this.#stopping.signal);
    log.info("data path started", {
      event: "backend.started",
      dataPath: "tun",
      device: tun.name,
      mtuBytes,
      address: formatIpv4(context.underlay.address),
      port: this.#options.port,
      features: describeFeatures(this.#features),
    });
    return { deviceName: tun.name, mtuBytes };
  }

  /** The socket first: a busy port is found before a device is touched. */
  #open({ underlay }: BackendContext): { tun: TunDevice; socket: UdpSocket } {
    const { port, device, deviceAlias } = this.#options;
    try {
      const socket = openUdpSocket({
        address: underlay.address,
        port,
        segment: this.#features.udpSegment,
        gro: this.#features.udpGro,
        bufferBytes: SOCKET_BUFFER_BYTES,
      });
      try {
        const tun = openTun({
          name: findOwnedDevice(this.#parts.rtnetlink, deviceAlias) ?? device,
          tcpOffload: this.#features.tunTcp,
          udpOffload: this.#features.tunUdp,
        });
        return { tun, socket };
      } catch (error) {
        libc().close(socket.descriptor);
        throw error;
      }
    } catch (error) {
      if (error instanceof SystemCallError) throw new BackendStartError(error);
      throw error;
    }
  }

  async apply(diff: PeerDiff): Promise<void> {
    for (const peer of diff.removed) {
      this.#peers.delete(formatCidr(peer.subnet));
    }
    for (const peer of [...diff.added, ...diff.changed]) {
      this.#peers.set(formatCidr(peer.subnet), peer);
    }
    await this.#path?.setPeers([...this.#peers.values()]);
  }

  status(): BackendStatus {
    return {
      type: this.type,
      dataPath: "tun",
      reason: this.#options.dataPath === "tun"
        ? "asked for by --datapath=tun"
        : "the only data path of this version",
      device: this.#device,
      peers: this.#peers.size,
      counters: this.#path?.counters() ?? {},
    };
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#keeping;
    await this.#path?.stop();
    this.#failure.resolve();
  }
}

function overlayMtuOf({ underlay }: BackendContext): OverlayMtu {
  // A loopback's MTU is above what an IPv4 packet can be.
  const bytes = Math.min(underlay.mtuBytes, 65535) - UDP_ENCAPSULATION_BYTES;
  if (bytes < LEAST_OVERLAY_MTU_BYTES) {
    throw new UnderlayMtuError(
      underlay.interfaceName,
      underlay.mtuBytes,
      LEAST_OVERLAY_MTU_BYTES + UDP_ENCAPSULATION_BYTES,
    );
  }
  return overlayMtu(bytes);
}
