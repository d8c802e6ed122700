/**
 * The processors that virtual machines can have, and what differs between them.
 *
 * @module
 */

/** One processor architecture. */
export interface Architecture {
  /** As Debian calls it. */
  readonly debian: "amd64" | "arm64";
  /** As npm's packages call it. */
  readonly npm: "x64" | "arm64";
  /** As `deno compile --target` takes it. */
  readonly target: string;
  /** QEMU's program for it. */
  readonly qemu: "qemu-system-x86_64" | "qemu-system-aarch64";
  /** The machine that QEMU makes, as its arguments. */
  readonly machine: readonly string[];
  /** The kernel's name of the first serial port. */
  readonly console: "ttyS0" | "ttyAMA0";
}

export const AMD64: Architecture = {
  debian: "amd64",
  npm: "x64",
  target: "x86_64-unknown-linux-gnu",
  qemu: "qemu-system-x86_64",
  machine: ["-machine", "q35", "-cpu", "max"],
  console: "ttyS0",
};

export const ARM64: Architecture = {
  debian: "arm64",
  npm: "arm64",
  target: "aarch64-unknown-linux-gnu",
  qemu: "qemu-system-aarch64",
  // By QEMU's own algorithm for pointer authentication: the architecture's takes
  // half of the time.
  machine: ["-machine", "virt", "-cpu", "max,pauth-impdef=on"],
  console: "ttyAMA0",
};

/** Whether this machine runs its programs. */
export function isNative({ target }: Architecture): boolean {
  return target === Deno.build.target;
}
