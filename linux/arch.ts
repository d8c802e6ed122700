/**
 * Differences between the processor architectures that Loden runs on.
 *
 * There are few: both are 64-bit (LP64) and little endian, so the structures
 * that Loden shares with the kernel have one layout, and socket and ioctl
 * constants come from the kernel's `asm-generic`. The numbers of system calls
 * differ.
 *
 * Much is written for little endian machines only: structures of system calls,
 * netlink messages, eBPF instructions, the values of eBPF maps, and the memory
 * that the workers of the user-space data path share. All of it goes to the
 * kernel through `libc()`, which refuses other machines.
 *
 * @module
 */

import { LodenError } from "../errors.ts";

/** One supported architecture. */
export interface Architecture {
  /** As in `Deno.build.arch` and `uname -m`. */
  readonly name: "x86_64" | "aarch64";
  /** Numbers of system calls that the C library has no function for. */
  readonly systemCalls: {
    /** `bpf(2)`: `arch/x86/entry/syscalls/syscall_64.tbl`, `asm-generic/unistd.h`. */
    readonly bpf: number;
  };
}

const ARCHITECTURES: readonly Architecture[] = [
  { name: "x86_64", systemCalls: { bpf: 321 } },
  { name: "aarch64", systemCalls: { bpf: 280 } },
];

/** This processor's layouts and numbers are not known. */
export class UnsupportedArchitectureError extends LodenError {
  constructor(name: string) {
    const known = ARCHITECTURES.map((architecture) => architecture.name);
    super(
      "linux.architecture",
      `Cannot talk to the kernel: the processor must be one of ${
        known.join(", ")
      }: current value is ${name}`,
      { hint: "run Loden on one of these" },
    );
  }
}

/**
 * The architecture of that name, of this machine by default.
 *
 * Throws {@linkcode UnsupportedArchitectureError} if it is neither of the two,
 * or if the processor runs big endian.
 */
export function architecture(
  name: string = Deno.build.arch,
): Architecture {
  const found = ARCHITECTURES.find((candidate) => candidate.name === name);
  if (found === undefined) throw new UnsupportedArchitectureError(name);
  if (!isLittleEndian()) {
    throw new UnsupportedArchitectureError(`${name}, big endian`);
  }
  return found;
}

/** Whether the lowest byte of a number comes first in memory. */
function isLittleEndian(): boolean {
  return new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
}
