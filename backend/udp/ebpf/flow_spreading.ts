/**
 * Receive packet steering for packets from one host.
 *
 * flannel's format uses one pair of ports between two hosts. A network card,
 * which distributes packets over processors by addresses and ports, gives all
 * of them to one; VXLAN uses a port per flow. The packets that the overlay
 * device receives, already merged, are therefore distributed again by the
 * containers' addresses and ports (receive packet steering).
 *
 * Waking another processor costs more than a small packet: a request and its
 * answer take 1.5 times as long. Steering is therefore on only while one
 * processor receives many bytes in packets that arrive one by one.
 * Super-packets cost little and are not steered. See `docs/ebpf.md`.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError } from "../../../errors.ts";
import { type Clock, slept } from "../../../linux/clock.ts";
import type {
  CpuMask,
  PacketSteering,
  SteeredDevice,
} from "../../../linux/packet_steering.ts";

const log = getLogger(["loden", "backend"]);

/**
 * What one processor has received from the underlay since the programs were
 * loaded.
 */
export interface CpuTraffic {
  /** Of the containers' packets. */
  readonly bytes: number;
  /** The number of whole super-packets. */
  readonly superPackets: number;
}

/** What it reads and sets. */
export interface FlowSpreadingParts {
  readonly steering: PacketSteering;
  readonly clock: Clock;
  /** By processor, always in the same order. */
  readonly received: () => readonly CpuTraffic[];
  /** The overlay device, as it is now. */
  readonly device: () => SteeredDevice;
}

/**
 * One gigabit per second: a quarter of what one processor can handle, or less.
 */
const MUCH_BYTES_PER_SECOND = 125_000_000;
const LITTLE_BYTES_PER_SECOND = MUCH_BYTES_PER_SECOND / 4;
/** The maximum size of a super-packet; most are close to it. */
const SUPER_PACKET_BYTES = 65_535;
/** Interval between two checks under low and under high load. */
const LOOK_MS = 500;
const LOOK_AGAIN_MS = 250;
/** A pause in the traffic does not turn steering off. */
const LITTLE_LOOKS = 2;

/** Checks the traffic at intervals. */
export class FlowSpreading {
  readonly #parts: FlowSpreadingParts;
  #before: { traffic: readonly CpuTraffic[]; atMs: number } | undefined;
  #littleLooks = 0;
  #spreads = false;
  #index: number | undefined;
  /**
   * Why the device is left alone: another program has set it, or it cannot be
   * set.
   */
  #leftAlone:
    | "set by another program"
    | "cannot be set"
    | "one processor"
    | undefined;

  constructor(parts: FlowSpreadingParts) {
    this.#parts = parts;
  }

  /** Whether flows are distributed over all processors now. */
  get spreads(): boolean {
    return this.#spreads;
  }

  /** The distribution of flows, for `loden status`. */
  describe(): string {
    if (this.#leftAlone === "set by another program") {
      return "as rps_cpus has it";
    }
    return this.#spreads ? "all processors" : "where they arrive";
  }

  /** Runs until the signal is aborted; resolves then. Flows stay as they are. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const pauseMs = () => this.#spreads ? LOOK_AGAIN_MS : LOOK_MS;
    do this.look(); while (await slept(clock, pauseMs(), signal));
  }

  /** Checks now. */
  look(): void {
    const device = this.#parts.device();
    if (device.index !== this.#index) {
      this.#index = device.index;
      this.#take(device);
    }
    if (this.#leftAlone !== undefined) return;
    const wants = this.#wantsSpreading();
    if (wants !== this.#spreads) this.#set(device, wants);
  }

  /** A value that an earlier agent set counts as ours. */
  #take(device: SteeredDevice): void {
    const { steering } = this.#parts;
    this.#leftAlone = undefined;
    this.#attempt(() => {
      const { allCpus } = steering;
      const cpus = steering.cpus(device);
      const isOne = (allCpus & (allCpus - 1n)) === 0n;
      this.#spreads = cpus === allCpus && !isOne;
      if (this.#spreads) return;
      if (cpus !== 0n) this.#leftAlone = "set by another program";
      else if (isOne) this.#leftAlone = "one processor";
    });
  }

  #set(device: SteeredDevice, spreads: boolean): void {
    const { steering } = this.#parts;
    this.#attempt(() => {
      const cpus: CpuMask = spreads ? steering.allCpus : 0n;
      steering.setCpus(device, cpus);
      this.#spreads = spreads;
      log.debug("receive packet steering changed", {
        event: "backend.spreading",
        device: device.name,
        spreads,
      });
    });
  }

  #attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#leftAlone = "cannot be set";
      this.#spreads = false;
      log.info(
        "receive packet steering is not possible: flows from one host stay on one processor",
        {
          event: "backend.not-spreading",
          reason: describeError(error),
        },
      );
    }
  }

  #wantsSpreading(): boolean {
    const { clock, received } = this.#parts;
    const now = { traffic: received(), atMs: clock.monotonic() };
    const before = this.#before;
    this.#before = now;
    if (before === undefined || now.atMs <= before.atMs) return this.#spreads;
    const seconds = (now.atMs - before.atMs) / 1_000;
    const rate = cutBytesOfOneCpu(before.traffic, now.traffic) / seconds;
    if (rate >= LITTLE_BYTES_PER_SECOND) {
      this.#littleLooks = 0;
      return this.#spreads || rate >= MUCH_BYTES_PER_SECOND;
    }
    return this.#spreads && ++this.#littleLooks < LITTLE_LOOKS;
  }
}

/**
 * A lower bound for the bytes that arrived one by one, on the busiest
 * processor.
 */
function cutBytesOfOneCpu(
  before: readonly CpuTraffic[],
  now: readonly CpuTraffic[],
): number {
  const cutBytes = ({ bytes, superPackets }: CpuTraffic) =>
    bytes - superPackets * SUPER_PACKET_BYTES;
  const taken = now.map((traffic, cpu) => {
    const then = before[cpu];
    return cutBytes(traffic) - (then === undefined ? 0 : cutBytes(then));
  });
  return Math.max(0, ...taken);
}
