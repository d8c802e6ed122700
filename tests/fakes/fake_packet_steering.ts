/**
 * Packet steering in memory.
 *
 * @module
 */

import {
  type CpuMask,
  type PacketSteering,
  type SteeredDevice,
  SteeringError,
} from "../../linux/packet_steering.ts";

/** Has no device until one is plugged in. */
export class FakePacketSteering implements PacketSteering {
  readonly allCpus: CpuMask;
  /** What was set, in order. */
  readonly settings: CpuMask[] = [];
  readonly #devices = new Map<string, { index: number; cpus: CpuMask }>();

  constructor(allCpus: CpuMask = 0b1111n) {
    this.allCpus = allCpus;
  }

  plugIn({ name, index }: SteeredDevice, cpus: CpuMask = 0n): void {
    this.#devices.set(name, { index, cpus });
  }

  cpus(device: SteeredDevice): CpuMask {
    return this.#find(device).cpus;
  }

  setCpus(device: SteeredDevice, cpus: CpuMask): void {
    this.#find(device).cpus = cpus;
    this.settings.push(cpus);
  }

  #find(device: SteeredDevice): { cpus: CpuMask } {
    const found = this.#devices.get(device.name);
    if (found?.index !== device.index) {
      throw new SteeringError(device, "there is no such device");
    }
    return found;
  }
}
