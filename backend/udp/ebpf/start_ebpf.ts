/**
 * Starts the kernel data path on a host.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError } from "../../../errors.ts";
import type { DescriptorWaiter } from "../../../linux/descriptor_watch.ts";
import type { Bpf } from "../../../linux/bpf/bpf.ts";
import type { Clock } from "../../../linux/clock.ts";
import type { EchoAnswer } from "../../../linux/echo_request.ts";
import { SystemCallError } from "../../../linux/errno.ts";
import type { Ethtool } from "../../../linux/ethtool.ts";
import type { Rtnetlink } from "../../../linux/netlink/rtnetlink.ts";
import type { RtnetlinkMonitor } from "../../../linux/netlink/rtnetlink_monitor.ts";
import type { PacketPort } from "../../../linux/packet_socket.ts";
import type { PacketSteering } from "../../../linux/packet_steering.ts";
import type { UnderlaySocket } from "../../../linux/underlay_socket.ts";
import type { DropReader } from "../../../net/dropped_packet.ts";
import { formatIpv4, type Ipv4 } from "../../../net/ipv4.ts";
import type { PeerTrust } from "../../../net/peer_trust.ts";
import type { PeerDiff, PeerTraffic } from "../../../net/peer.ts";
import { BackendFailedError, BackendStartError } from "../../errors.ts";
import type { UdpDataPath, UdpDataPathOptions } from "../data_path.ts";
import { wantedFeatures } from "../features.ts";
import { OverlayKeeper } from "../../overlay_keeper.ts";
import { EbpfDataPath } from "./ebpf_data_path.ts";
import { KernelPathUnavailableError } from "./errors.ts";
import { missingFeature, requireRoom } from "./kernel_features.ts";
import { FlowSpreading } from "./flow_spreading.ts";
import { SlowPath } from "./slow_path.ts";
import { HASHED_PORTS } from "./source_port_choice.ts";

const log = getLogger(["loden", "backend"]);

/** What the data path needs. */
export interface EbpfParts {
  readonly rtnetlink: Rtnetlink;
  readonly ethtool: Ethtool;
  readonly steering: PacketSteering;
  readonly openBpf: (options: { readonly tcx: boolean }) => Bpf;
  /** Throws {@linkcode SystemCallError}, `EADDRINUSE` if the port is in use. */
  readonly openSocket: (
    options: { readonly address: Ipv4; readonly port: number },
  ) => UnderlaySocket & Disposable;
  readonly openPacketPort: () => PacketPort & Disposable;
  readonly watch: (descriptors: readonly number[]) => DescriptorWaiter;
  readonly openMonitor: () => RtnetlinkMonitor;
  /** Whether packets of a size reach an address. */
  readonly probePath?: (address: Ipv4, bytes: number) => Promise<EchoAnswer>;
  readonly clock: Clock;
  readonly bootTimeNs: () => bigint;
  /** Until when peers are valid without the agent. */
  readonly trust?: PeerTrust;
  /** Whether the kernel has a module; `undefined` if it cannot be seen. */
  readonly hasModule: (name: string) => boolean | undefined;
}

/**
 * Throws {@linkcode KernelPathUnavailableError} if another data path may work,
 * and {@linkcode BackendStartError} if none would.
 */
export function startEbpf(
  parts: EbpfParts,
  options: UdpDataPathOptions,
): UdpDataPath {
  const startedAtMs = parts.clock.monotonic();
  using opened = new DisposableStack();
  // First, so that a busy port is found before anything is changed.
  const socket = opened.use(openSocket(parts, options));
  const { tcx, flowSpreading } = wantedFeatures(options.disabledFeatures);
  let path: EbpfDataPath;
  let running: RunningEbpf;
  let bpf: Bpf | undefined;
  try {
    bpf = opened.use(parts.openBpf({ tcx }));
    requireRoom({ bpf, underlay: options.underlay });
    const packets = opened.use(parts.openPacketPort());
    const monitor = opened.use(parts.openMonitor());
    path = EbpfDataPath.start({ ...parts, bpf }, options);
    const slowPath = new SlowPath({
      socket,
      packets,
      bpf,
      watch: parts.watch([socket.descriptor]),
      clock: parts.clock,
    }, {
      underlayAddress: options.underlay.address,
      port: options.port,
      mtuBytes: options.mtuBytes,
      sourcePort: path.sourcePort,
      get ingress() {
        return path.ingress;
      },
      get hop() {
        return path.hop;
      },
      underlayMac: (interfaceIndex) => path.underlayMac(interfaceIndex),
      isPeer: (address) => path.isPeer(address),
      onPathMtu: (address, port) => path.onPathMtu(address, port),
    });
    running = new RunningEbpf({
      path,
      slowPath,
      spreading: flowSpreading
        ? new FlowSpreading({
          steering: parts.steering,
          clock: parts.clock,
          received: () => path.received(),
          device: () => path.device,
        })
        : undefined,
      monitor,
      clock: parts.clock,
      opened: opened.move(),
    });
  } catch (error) {
    if (error instanceof BackendStartError) throw error;
    throw new KernelPathUnavailableError(
      bpf && missingFeature({ ...parts, ...options, bpf }) || error,
    );
  }
  log.info("data path started", {
    event: "backend.started",
    dataPath: "ebpf",
    device: path.deviceName,
    mtuBytes: options.mtuBytes,
    address: formatIpv4(options.underlay.address),
    port: options.port,
    decapUdp: path.decapUdp,
    loadMs: Math.round((parts.clock.monotonic() - startedAtMs) * 10) / 10,
  });
  return running;
}

function openSocket(
  parts: EbpfParts,
  { underlay, port }: UdpDataPathOptions,
): UnderlaySocket & Disposable {
  try {
    return parts.openSocket({ address: underlay.address, port });
  } catch (error) {
    if (error instanceof SystemCallError) throw new BackendStartError(error);
    throw error;
  }
}

/** What runs in the agent in addition to the programs. */
interface RunningParts {
  readonly path: EbpfDataPath;
  readonly slowPath: SlowPath;
  readonly spreading: FlowSpreading | undefined;
  readonly monitor: RtnetlinkMonitor;
  readonly clock: Clock;
  /** What must be closed at the end. */
  readonly opened: DisposableStack;
}

/**
 * Further changes follow the first; and slow checks must not run all the time.
 */
const SETTLE_MS = 100;
const REST_PER_WORK = 20;

/** The data path and its maintenance. */
class RunningEbpf implements UdpDataPath {
  readonly name = "ebpf";
  readonly outlivesAgent = true;
  readonly failed: Promise<void>;
  readonly #parts: RunningParts;
  readonly #keeper: OverlayKeeper;
  readonly #stopping = new AbortController();
  /** Whether changes of the network are reported. */
  #isTold = true;
  /** Each runs until `stop`. */
  readonly #running: readonly Promise<void>[];

  constructor(parts: RunningParts) {
    const { path, clock, slowPath, spreading } = parts;
    this.#parts = parts;
    this.#keeper = new OverlayKeeper(clock, {
      get deviceName() {
        return path.deviceName;
      },
      mend: () => {
        if (!this.#isTold) path.doubtOwnRoutes();
        return path.look();
      },
    });
    this.#running = [
      this.#keeper.run(this.#stopping.signal),
      this.#followChanges(),
      slowPath.run(),
      spreading?.run(this.#stopping.signal) ?? Promise.resolve(),
    ];
    this.failed = this.#untilStopped();
    this.failed.catch(() => {});
  }

  get deviceName(): string {
    return this.#parts.path.deviceName;
  }

  get peerCount(): number {
    return this.#parts.path.peerCount;
  }

  get sourcePorts(): string | undefined {
    const { sourcePort } = this.#parts.path;
    return sourcePort === "hash" ? HASHED_PORTS : undefined;
  }

  changePeers(diff: PeerDiff): Promise<void> {
    return this.#parts.path.changePeers(diff);
  }

  counters(): Record<string, number> {
    const { path, slowPath } = this.#parts;
    return { ...path.counters(), ...slowPath.counters() };
  }

  peerTraffic(): readonly PeerTraffic[] {
    return this.#parts.path.peerTraffic();
  }

  underlayDevices(): readonly string[] {
    return this.#parts.path.underlayDevices();
  }

  get drops(): DropReader | undefined {
    return this.#parts.path.drops;
  }

  details(): Record<string, string> {
    const { path, spreading } = this.#parts;
    const flows = spreading && { "flows on": spreading.describe() };
    return { ...path.details(), ...flows };
  }

  async stop(): Promise<void> {
    using _opened = this.#parts.opened;
    this.#stopping.abort();
    await this.#parts.slowPath.stop();
    // `failed` has reported those that ended early.
    await Promise.allSettled(this.#running);
    await this.#parts.path.stop();
  }

  async #untilStopped(): Promise<void> {
    const { path } = this.#parts;
    try {
      await Promise.all(this.#running);
    } catch (error) {
      throw new BackendFailedError(path.deviceName, describeError(error), {
        cause: error,
      });
    }
    await path.failed;
  }

  /** A deleted device or route is restored before it is noticed. */
  async #followChanges(): Promise<void> {
    const { path, monitor, clock } = this.#parts;
    const { signal } = this.#stopping;
    try {
      for await (const _tables of monitor.changes(signal)) {
        path.forgetRoutes();
        const startedAtMs = clock.monotonic();
        this.#keeper.look();
        const tookMs = clock.monotonic() - startedAtMs;
        await clock.sleep(Math.max(SETTLE_MS, tookMs * REST_PER_WORK), signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#isTold = false;
      log.warn("changes of the network are seen only every five seconds", {
        event: "backend.monitor-failed",
        reason: describeError(error),
      });
    }
  }
}
