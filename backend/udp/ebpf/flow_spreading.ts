/**
 * Many processors for what arrives from one host.
 *
 * flannel's format has one pair of ports between two hosts. A network card, which
 * shares packets among processors by addresses and ports, gives all of them to
 * one; VXLAN takes a port for each flow. So what the overlay device receives,
 * merged already, is shared again, by the addresses and ports of the containers
 * (receive packet steering).
 *
 * To wake another processor costs more than a small packet: a request and its
 * answer take half as long again. So it is done only while one processor takes
 * many bytes in packets that come one by one. What comes as super-packets costs little, and
 * stays. See `docs/ebpf.md`.
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

/** What one processor has taken from the underlay since the programs run. */
export interface CpuTraffic {
  /** Of the containers' packets. */
  readonly bytes: number;
  /** How many came whole. */
  readonly superPackets: number;
}

/** What it looks at and sets. */
export interface FlowSpreadingParts {
  readonly steering: PacketSteering;
  readonly clock: Clock;
  /** By processor, always in the same order. */
  readonly received: () => readonly CpuTraffic[];
  /** The overlay device, as it is now. */
  readonly device: () => SteeredDevice;
}

/** A gigabit a second: a quarter of what one processor takes, or less. */
const MUCH_BYTES_PER_SECOND = 125_000_000;
const LITTLE_BYTES_PER_SECOND = MUCH_BYTES_PER_SECOND / 4;
/** What a super-packet has at most, and most have nearly. */
const SUPER_PACKET_BYTES = 65_535;
/** Between two looks, while little moves and while much does. */
const LOOK_MS = 500;
const LOOK_AGAIN_MS = 250;
/** A pause of traffic ends nothing. */
const LITTLE_LOOKS = 2;

/** Looks at the traffic again and again. */
export class FlowSpreading {
  readonly #parts: FlowSpreadingParts;
  #before: { traffic: readonly CpuTraffic[]; atMs: number } | undefined;
  #littleLooks = 0;
  #spreads = false;
  #index: number | undefined;
  /** Why the device is left alone: somebody has set it, or it cannot be set. */
  #leftAlone:
    | "set by another program"
    | "cannot be set"
    | "one processor"
    | undefined;

  constructor(parts: FlowSpreadingParts) {
    this.#parts = parts;
  }

  /** Whether flows are shared by all processors now. */
  get spreads(): boolean {
    return this.#spreads;
  }

  /** Where flows go, as `loden status` shows it. */
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

  /** Looks now. */
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

  /** What an earlier agent has set is ours as well. */
  #take(device: SteeredDevice): void {
    const { steering } = this.#parts;
    this.#leftAlone = undefined;
    this.#attempt(() => {
      const { allCpus } = steering;
      const cpus = steering.cpus(device);
      this.#spreads = cpus === allCpus && allCpus !== 1n;
      if (this.#spreads) return;
      if (cpus !== 0n) this.#leftAlone = "set by another program";
      else if (allCpus === 1n) this.#leftAlone = "one processor";
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

/** What came one by one, at least, on the processor that took most of it. */
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
