/**
 * Starts the user-space data path on a host: device, socket, worker.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../../linux/clock.ts";
import { SystemCallError } from "../../../linux/errno.ts";
import { libc } from "../../../linux/libc.ts";
import type { Rtnetlink } from "../../../linux/netlink/rtnetlink.ts";
import { openTun, type TunDevice } from "../../../linux/tun.ts";
import { openUdpSocket, type UdpSocket } from "../../../linux/udp_socket.ts";
import { formatIpv4 } from "../../../net/ipv4.ts";
import { applyPeerDiff, type Peer, type PeerDiff } from "../../../net/peer.ts";
import type { Underlay } from "../../../net/underlay.ts";
import { BackendStartError } from "../../errors.ts";
import type { UdpDataPath, UdpDataPathOptions } from "../data_path.ts";
import {
  type DataPathFeatures,
  describeFeatures,
  wantedFeatures,
} from "../features.ts";
import {
  configureOverlayDevice,
  findOwnedDevice,
  isOverlayDeviceRight,
  type OverlayDevice,
} from "../../overlay_device.ts";
import { OverlayKeeper } from "../../overlay_keeper.ts";
import { UnderlayDevices } from "../../underlay_devices.ts";
import { TunDataPath } from "./tun_data_path.ts";
import { TunDrops } from "./tun_drops.ts";

const log = getLogger(["loden", "backend"]);

/** What the kernel may hold for the socket: a few hundred super-packets. */
const SOCKET_BUFFER_BYTES = 8 * 1024 * 1024;

/** What the data path needs. */
export interface TunParts {
  readonly rtnetlink: Rtnetlink;
  readonly clock: Pick<Clock, "now" | "sleep" | "monotonic">;
}

/**
 * Throws {@linkcode BackendStartError} or, when the device or the worker is not
 * as it must be, {@linkcode BackendFailedError}; {@linkcode NetlinkError} when the
 * kernel refuses the device's address or routes.
 */
export async function startTun(
  parts: TunParts,
  options: UdpDataPathOptions,
  signal: AbortSignal,
): Promise<UdpDataPath> {
  const wanted = wantedFeatures(options.disabledFeatures);
  const { tun, socket } = open(parts.rtnetlink, options, wanted);
  const features = {
    ...wanted,
    tunTcp: tun.tcpOffload,
    tunUdp: tun.udpOffload,
    udpSegment: socket.segment,
    udpGro: socket.gro,
  };
  const device: OverlayDevice = {
    network: options.network,
    subnet: options.subnet,
    mtuBytes: options.mtuBytes,
    name: tun.name,
    alias: options.deviceAlias,
    networkRoute: true,
  };
  try {
    configureOverlayDevice(parts.rtnetlink, device);
  } catch (error) {
    libc().close(tun.descriptor);
    libc().close(socket.descriptor);
    throw error;
  }
  const path = await TunDataPath.start({
    network: options.network,
    subnet: options.subnet,
    senderCheck: options.senderCheck,
    mtuBytes: options.mtuBytes,
    tun,
    socket,
    udpPort: options.port,
    checksInterface: options.checksInterface &&
      options.senderCheck === "strict",
    features,
  }, signal);
  log.info("data path started", {
    event: "backend.started",
    dataPath: "tun",
    device: tun.name,
    mtuBytes: options.mtuBytes,
    address: formatIpv4(options.underlay.address),
    port: options.port,
    features: describeFeatures(features),
  });
  return new RunningTun(path, device, parts, options.underlay);
}

/** The data path and what keeps its device. */
class RunningTun implements UdpDataPath {
  readonly name = "tun";
  readonly deviceName: string;
  readonly outlivesAgent = false;
  readonly failed: Promise<void>;
  readonly drops: TunDrops;
  readonly #path: TunDataPath;
  readonly #stopping = new AbortController();
  readonly #keeping: Promise<void>;
  readonly #underlays: UnderlayDevices;
  readonly #peers = new Map<string, Peer>();
  readonly #underlayNames = new Map<number, string | undefined>();

  constructor(
    path: TunDataPath,
    device: OverlayDevice,
    { rtnetlink, clock }: TunParts,
    underlay: Underlay,
  ) {
    this.#path = path;
    this.#underlays = new UnderlayDevices({ rtnetlink, clock }, {
      network: device.network,
      underlay,
    });
    this.deviceName = device.name;
    this.drops = new TunDrops({
      take: () => path.takeDrops(),
      end: () => path.endDrops(),
      now: () => clock.now(),
      underlayName: (interfaceIndex) =>
        this.#underlayName(rtnetlink, interfaceIndex),
      deviceName: device.name,
      underlayAddress: underlay.address,
    });
    this.failed = path.failed.finally(() => this.#stopping.abort());
    this.failed.catch(() => {});
    this.#keeping = new OverlayKeeper(clock, {
      deviceName: device.name,
      mend() {
        const routes = rtnetlink.routes();
        if (isOverlayDeviceRight(rtnetlink, device, routes)) return [];
        configureOverlayDevice(rtnetlink, device);
        return ["device"];
      },
    }).run(this.#stopping.signal);
  }

  get peerCount(): number {
    return this.#path.peerCount;
  }

  /** To list the devices takes long; each is asked for once. */
  #underlayName(
    rtnetlink: Rtnetlink,
    interfaceIndex: number,
  ): string | undefined {
    const names = this.#underlayNames;
    if (!names.has(interfaceIndex)) {
      names.set(interfaceIndex, undefined);
      for (const { index, name } of rtnetlink.links()) names.set(index, name);
    }
    return names.get(interfaceIndex);
  }

  changePeers(diff: PeerDiff): Promise<void> {
    applyPeerDiff(this.#peers, diff);
    return this.#path.changePeers(diff);
  }

  underlayDevices(): readonly string[] {
    const addresses = [...this.#peers.values()].map(({ publicIp }) => publicIp);
    return this.#underlays.names(addresses, this.deviceName);
  }

  counters(): Record<string, number> {
    return this.#path.counters();
  }

  details(): Record<string, string> {
    return {};
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#keeping;
    await this.#path.stop();
  }
}

/**
 * The socket first, so that a busy port is found before a device is changed.
 */
function open(
  rtnetlink: Rtnetlink,
  { underlay, port, device, deviceAlias }: UdpDataPathOptions,
  features: DataPathFeatures,
): { tun: TunDevice; socket: UdpSocket } {
  try {
    const socket = openUdpSocket({
      address: underlay.address,
      port,
      segment: features.udpSegment,
      gro: features.udpGro,
      bufferBytes: SOCKET_BUFFER_BYTES,
    });
    try {
      const tun = openTun({
        name: findOwnedDevice(rtnetlink, deviceAlias, "tun")?.name ?? device,
        tcpOffload: features.tunTcp,
        udpOffload: features.tunUdp,
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
