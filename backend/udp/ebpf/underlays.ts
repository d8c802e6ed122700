/**
 * The devices through which peers are reached, and how packets are received
 * from each.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError } from "../../../errors.ts";
import type { Bpf, BpfProgram } from "../../../linux/bpf/bpf.ts";
import type { Ethtool } from "../../../linux/ethtool.ts";
import type { Link } from "../../../linux/netlink/rtnetlink.ts";
import type { ReceiveChoice } from "../data_path.ts";
import {
  detachFromUnderlay,
  detachXdp,
  ensureAttached,
  ensureXdp,
} from "./attachments.ts";
import type { HostConstants, ReceiveMode } from "./programs/constants.ts";
import { ingressProgram, xdpProgram } from "./programs/programs.ts";
import {
  chooseReceiveMode,
  type ReceiveDecision,
  type UnderlayDevice,
} from "./receive_mode.ts";
import type { Maps } from "./maps.ts";

const log = getLogger(["loden", "backend"]);

/** What loading and attaching the programs needs. */
export interface UnderlayParts {
  readonly bpf: Bpf;
  readonly ethtool: Ethtool;
}

/** One device with its programs. */
interface Attached {
  readonly name: string;
  readonly mac: Uint8Array;
  readonly decision: ReceiveDecision;
  readonly how: "tcx" | "clsact";
}

/**
 * See the module. For one set of programs; create another instance for others.
 */
export class Underlays {
  readonly #parts: UnderlayParts;
  readonly #host: HostConstants;
  readonly #maps: Maps;
  readonly #wanted: ReceiveChoice;
  readonly #attached = new Map<number, Attached>();
  /** By delivery, which is the same for the modes `xdp` and `gro`. */
  readonly #ingress = new Map<"merge" | "direct", BpfProgram>();
  readonly #xdp = new Map<string, BpfProgram>();
  /** Devices whose drivers refuse native XDP, and why. */
  readonly #refused = new Map<number, string>();

  constructor(
    parts: UnderlayParts,
    host: HostConstants,
    maps: Maps,
    wanted: ReceiveChoice,
  ) {
    this.#parts = parts;
    this.#host = host;
    this.#maps = maps;
    this.#wanted = wanted;
  }

  /** Whether packets are received from a device. */
  has(interfaceIndex: number): boolean {
    return this.#attached.has(interfaceIndex);
  }

  /** Of a device from which packets are received. */
  mac(interfaceIndex: number): Uint8Array | undefined {
    return this.#attached.get(interfaceIndex)?.mac;
  }

  /** The devices from which packets are received. */
  get names(): readonly string[] {
    return [...this.#attached.values()].map(({ name }) => name);
  }

  /** For `loden status`, by name. */
  details(): Record<string, string> {
    return Object.fromEntries(
      [...this.#attached.values()].map(({ name, decision, how }) => [
        `receive on ${name}`,
        `${decision.mode} by ${how}: ${decision.reason}`,
      ]),
    );
  }

  /**
   * Receives packets from these devices and no others; replaces programs of an
   * earlier agent. Returns what was wrong.
   */
  set(devices: readonly Link[]): string[] {
    const changed = devices.filter((device) => this.#ensure(device))
      .map(({ name }) => `programs at ${name}`);
    const indexes = new Set(devices.map(({ index }) => index));
    for (const [index, { name }] of this.#attached) {
      if (indexes.has(index)) continue;
      this.#attached.delete(index);
      this.#refused.delete(index);
      detachIfThere(this.#parts.bpf, index, this.#host.suffix);
      changed.push(`programs at ${name}`);
    }
    return changed;
  }

  #ensure(link: Link): boolean {
    const { bpf } = this.#parts;
    const { suffix } = this.#host;
    const before = this.#attached.get(link.index);
    const device = describeDevice(this.#parts.ethtool, link);
    const decision = this.#decide(link, device);
    // Both ingress programs accept what XDP strips, so XDP is detached first
    // and attached last.
    if (decision.mode !== "xdp") detachXdp(bpf, link.index, suffix);
    const program = this.#ingressProgram(decision.mode);
    const ingress = ensureAttached(bpf, link.index, "ingress", program);
    const { how } = ingress.attached;
    let { changed } = ingress;
    if (decision.mode === "xdp") {
      try {
        const xdp = this.#xdpProgram(link.mac);
        if (ensureXdp(bpf, link.index, xdp, suffix)) changed = true;
      } catch (error) {
        this.#refused.set(link.index, describeError(error));
        return this.#ensure(link);
      }
    }
    this.#attached.set(link.index, {
      name: link.name,
      mac: link.mac,
      decision,
      how,
    });
    if (before?.decision.mode !== decision.mode || before.name !== link.name) {
      log.info("receiving packets from the underlay", {
        event: "backend.receive",
        device: link.name,
        mode: decision.mode,
        reason: decision.reason,
        attachedBy: how,
      });
    }
    return before !== undefined && changed;
  }

  #decide(link: Link, device: UnderlayDevice): ReceiveDecision {
    const decision = chooseReceiveMode(device, this.#wanted);
    const refusal = this.#refused.get(link.index);
    if (decision.mode !== "xdp" || refusal === undefined) return decision;
    return { mode: "gro", reason: `native XDP was refused: ${refusal}` };
  }

  #ingressProgram(mode: ReceiveMode): BpfProgram {
    const delivery = mode === "direct" ? "direct" : "merge";
    let program = this.#ingress.get(delivery);
    if (program === undefined) {
      program = this.#parts.bpf.loadProgram(
        ingressProgram(this.#host, delivery, this.#maps),
      );
      this.#ingress.set(delivery, program);
    }
    return program;
  }

  #xdpProgram(mac: Uint8Array): BpfProgram {
    const key = mac.join(":");
    let program = this.#xdp.get(key);
    if (program === undefined) {
      program = this.#parts.bpf.loadProgram(
        xdpProgram(this.#host, mac, this.#maps),
      );
      this.#xdp.set(key, program);
    }
    return program;
  }

  /** The program that judges a packet; for {@linkcode Bpf.testRun}. */
  get ingress(): BpfProgram {
    return this.#ingressProgram("gro");
  }

  /** Closes the programs' descriptors; attached ones run on. */
  [Symbol.dispose](): void {
    for (const program of [...this.#ingress.values(), ...this.#xdp.values()]) {
      program[Symbol.dispose]();
    }
  }
}

/** The programs of a removed device are gone as well. */
function detachIfThere(bpf: Bpf, interfaceIndex: number, suffix: string): void {
  try {
    detachFromUnderlay(bpf, interfaceIndex, suffix);
  } catch (error) {
    log.debug("programs of a former underlay could not be detached", {
      event: "backend.detach-failed",
      interfaceIndex,
      reason: describeError(error),
    });
  }
}

/** What the receive mode of a device depends on. */
export function describeDevice(ethtool: Ethtool, link: Link): UnderlayDevice {
  return {
    kind: link.kind,
    driver: driverOf(ethtool, link.name),
    features: ethtool.features(link.name),
  };
}

function driverOf(ethtool: Ethtool, name: string): string {
  try {
    return ethtool.driver(name);
  } catch {
    // Some devices do not report it; none of those is a hypervisor's.
    return "";
  }
}
