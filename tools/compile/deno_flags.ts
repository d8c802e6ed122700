/**
 * What `deno compile` is told of the program's surroundings, and why.
 *
 * @module
 */

/** One option, and the reason that a reviewer would ask for. */
export interface DenoFlag {
  readonly flag: string;
  readonly reason: string;
}

/** V8's, which tests in the binary's Deno have too. */
export const V8_FLAGS =
  "--v8-flags=--min-semi-space-size=8,--max-semi-space-size=8";

/** `docs/binary.md` has them too. */
export const DENO_FLAGS: readonly DenoFlag[] = [
  {
    flag: "--allow-all",
    reason:
      "Deno denies /proc/self/ns/net, /dev/net/tun and similar files to any " +
      "program that lacks a single permission, and FFI, without which there " +
      "are no system calls, is as much as all of them",
  },
  {
    flag: "--no-prompt",
    reason: "an agent has no terminal for prompts",
  },
  {
    flag: "--no-code-cache",
    reason: "the cache is a file with a known name in /tmp: a user who " +
      "creates it first could run code as root",
  },
  {
    flag: V8_FLAGS,
    reason: "with less room for new objects V8 marks all of its heap before " +
      "the agent is ready, which takes 40 ms; more room stays resident",
  },
  {
    flag: "--no-check",
    reason: "the bundle is JavaScript; deno task check has seen its sources",
  },
];
