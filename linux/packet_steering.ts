/**
 * Receive packet steering (RPS): distributes the flows that a device receives
 * over processors.
 *
 * Source: `Documentation/networking/scaling.rst`, `net/core/net-sysfs.c`
 * (`store_rps_map`).
 *
 * @module
 */

import { LodenError } from "../errors.ts";
import { parseCpuList } from "./cpu_list.ts";
import { readIfThere } from "./read_if_there.ts";

/** Processors as bits: bit 0 is CPU 0. None: each packet stays where it came. */
export type CpuMask = bigint;

/** A network device, by name and by index. */
export interface SteeredDevice {
  readonly name: string;
  readonly index: number;
}

/** Of devices whose receive queues are all alike, as a veth's. */
export interface PacketSteering {
  /** The processors that may share: online now, and not isolated. */
  readonly allCpus: CpuMask;
  /**
   * Those that share what the device receives.
   *
   * @throws {SteeringError}
   */
  cpus(device: SteeredDevice): CpuMask;
  /**
   * Flows are shared by these from now on, as far as they are online; of a flow
   * that moves to another processor, packets may overtake each other once.
   *
   * @throws {SteeringError}
   */
  setCpus(device: SteeredDevice, cpus: CpuMask): void;
}

/** It cannot be seen or set. `code` is `linux.steering`. */
export class SteeringError extends LodenError {
  constructor(device: SteeredDevice, why: string, options: ErrorOptions = {}) {
    super(
      "linux.steering",
      `Cannot steer what ${device.name} receives: ${why}`,
      options,
    );
  }
}

/** What the kernel does not accept in `rps_cpus`: `isolcpus=`, `nohz_full=`. */
const ISOLATED = ["isolated", "nohz_full"];
/** Of a number in hexadecimal, between two commas. */
const DIGITS = 8;

/** By sysfs, which must be that of the network namespace of this process. */
export class KernelPacketSteering implements PacketSteering {
  get allCpus(): CpuMask {
    return sharingCpus((name) =>
      readIfThere(`/sys/devices/system/cpu/${name}`)
    );
  }

  cpus(device: SteeredDevice): CpuMask {
    return parseCpuMask(
      attempt(device, () => Deno.readTextFileSync(filesOf(device)[0]!)),
    );
  }

  setCpus(device: SteeredDevice, cpus: CpuMask): void {
    attempt(device, () => {
      for (const file of filesOf(device)) {
        Deno.writeTextFileSync(file, formatCpuMask(cpus), { create: false });
      }
    });
  }
}

/**
 * The processors that are online and not isolated.
 *
 * @param read a file of sysfs's `devices/system/cpu`; `undefined` if there is none.
 */
export function sharingCpus(
  read: (name: string) => string | undefined,
): CpuMask {
  const isolated = ISOLATED.map((name) => cpusIn(name, read(name)));
  return isolated.reduce(
    (cpus, some) => cpus & ~some,
    cpusIn("online", read("online")),
  );
}

/** A file that is empty, or that says `(null)`, names none. */
function cpusIn(name: string, list = ""): CpuMask {
  const text = list.trim();
  return text === "" || text === "(null)" ? 0n : parseCpuList(text, name)
    .reduce((cpus, cpu) => cpus | 1n << BigInt(cpu), 0n);
}

/**
 * One for each queue. A device of another namespace may have the same name.
 */
function filesOf({ name, index }: SteeredDevice): string[] {
  const directory = `/sys/class/net/${name}`;
  const found = Deno.readTextFileSync(`${directory}/ifindex`).trim();
  if (found !== String(index)) {
    throw new Error(
      `${directory} must be of this network namespace: it has interface index ` +
        `${found} in place of ${index}`,
    );
  }
  return [...Deno.readDirSync(`${directory}/queues`)]
    .filter((entry) => entry.name.startsWith("rx-"))
    .map((entry) => `${directory}/queues/${entry.name}/rps_cpus`);
}

function attempt<Result>(
  device: SteeredDevice,
  action: () => Result,
): Result {
  try {
    return action();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new SteeringError(device, why, { cause: error });
  }
}

/**
 * `00000000,0000000f`, as the kernel writes it.
 *
 * @throws {SyntaxError} if it is something else.
 */
export function parseCpuMask(text: string): CpuMask {
  return BigInt(`0x${text.trim().replaceAll(",", "")}`);
}

/** As the kernel reads it: eight digits at most between two commas. */
export function formatCpuMask(cpus: CpuMask): string {
  const digits = cpus.toString(16);
  const length = Math.ceil(digits.length / DIGITS) * DIGITS;
  return digits.padStart(length, "0").match(/.{8}/g)!.join(",");
}
