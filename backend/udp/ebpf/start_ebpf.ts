/**
 * Bringing the kernel data path up on a host.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { Bpf } from "../../../linux/bpf/bpf.ts";
import type { Clock } from "../../../linux/clock.ts";
import type { Ethtool } from "../../../linux/ethtool.ts";
import type { Rtnetlink } from "../../../linux/netlink/rtnetlink.ts";
import { formatIpv4 } from "../../../net/ipv4.ts";
import type { Peer } from "../../../net/peer.ts";
import { BackendStartError } from "../../errors.ts";
import type { UdpDataPath, UdpDataPathOptions } from "../data_path.ts";
import { OverlayKeeper } from "../overlay_keeper.ts";
import { EbpfDataPath } from "./ebpf_data_path.ts";
import { KernelPathUnavailableError, KernelTooOldError } from "./errors.ts";

const log = getLogger(["loden", "backend"]);

/** `bpf_skb_adjust_room` past a device's MTU: `net/core/filter.c` since 5.12. */
const LEAST_KERNEL: readonly [major: number, minor: number] = [5, 12];

/** What the data path stands on. */
export interface EbpfParts {
  readonly rtnetlink: Rtnetlink;
  readonly ethtool: Ethtool;
  readonly openBpf: (options: { readonly tcx: boolean }) => Bpf;
  readonly clock: Clock;
  readonly bootTimeNs: () => bigint;
  /** As `uname -r`. */
  readonly kernelRelease: string;
}

/**
 * Throws {@linkcode KernelPathUnavailableError} when another data path may do,
 * and {@linkcode BackendStartError} when none would.
 */
export function startEbpf(
  parts: EbpfParts,
  options: UdpDataPathOptions,
): UdpDataPath {
  const startedAtMs = parts.clock.monotonic();
  requireKernel(parts.kernelRelease);
  const tcx = !options.disabledFeatures.includes("tcx");
  const bpf = parts.openBpf({ tcx });
  let path: EbpfDataPath;
  try {
    path = new EbpfDataPath({ ...parts, bpf }, options);
  } catch (error) {
    bpf[Symbol.dispose]();
    if (error instanceof BackendStartError) throw error;
    throw new KernelPathUnavailableError(error);
  }
  log.info("data path started", {
    event: "backend.started",
    dataPath: "ebpf",
    device: path.deviceName,
    mtuBytes: options.mtuBytes,
    address: formatIpv4(options.underlay.address),
    port: options.port,
    loadMs: Math.round((parts.clock.monotonic() - startedAtMs) * 10) / 10,
  });
  return new RunningEbpf(path, bpf, parts.clock);
}

/** The data path and what keeps it as it should be. */
class RunningEbpf implements UdpDataPath {
  readonly name = "ebpf";
  readonly outlivesAgent = true;
  readonly failed: Promise<void>;
  readonly #path: EbpfDataPath;
  readonly #bpf: Bpf;
  readonly #stopping = new AbortController();
  readonly #keeping: Promise<void>;

  constructor(path: EbpfDataPath, bpf: Bpf, clock: Clock) {
    this.#path = path;
    this.#bpf = bpf;
    this.failed = path.failed;
    this.#keeping = new OverlayKeeper(clock, path).run(this.#stopping.signal);
  }

  get deviceName(): string {
    return this.#path.deviceName;
  }

  setPeers(peers: readonly Peer[]): Promise<void> {
    return this.#path.setPeers(peers);
  }

  counters(): Record<string, number> {
    return this.#path.counters();
  }

  details(): Record<string, string> {
    return this.#path.details();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#keeping;
    await this.#path.stop();
    this.#bpf[Symbol.dispose]();
  }
}

function requireKernel(release: string): void {
  const [major = 0, minor = 0] = release.split(".").map((part) =>
    parseInt(part)
  );
  const [leastMajor, leastMinor] = LEAST_KERNEL;
  if (major > leastMajor || (major === leastMajor && minor >= leastMinor)) {
    return;
  }
  throw new KernelPathUnavailableError(
    new KernelTooOldError(release, LEAST_KERNEL.join(".")),
  );
}
