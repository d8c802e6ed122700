/**
 * Devices in rules.
 *
 * @module
 */

import type { Holds, TestPacket } from "./test_packet.ts";

/** Hooks of packets that arrive, and of packets that leave. */
const HOOKS = {
  input: ["prerouting", "input", "forward"],
  output: ["forward", "output", "postrouting"],
} as const;

/**
 * Whether a device has the name, or one that begins with what is before a final
 * `*`. At a hook without such a device the kernel compares with an empty name.
 */
export function isDevice(
  { hook }: TestPacket,
  side: "input" | "output",
  device: string | undefined,
  pattern: string,
): Holds {
  const hooks: readonly string[] = HOOKS[side];
  if (!hooks.includes(hook)) return pattern === "*";
  if (device === undefined) return undefined;
  return pattern.endsWith("*")
    ? device.startsWith(pattern.slice(0, -1))
    : device === pattern;
}
