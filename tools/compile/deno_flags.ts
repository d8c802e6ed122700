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
export const V8_FLAGS = "--v8-flags=" + [
  "--min-semi-space-size=8",
  "--max-semi-space-size=8",
  "--optimize-for-size",
  "--initial-old-space-size=32",
].join(",");

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
    reason:
      "V8 collects sooner what an idle agent leaves, but not before the " +
      "agent is ready: without the sizes, marking its heap would take 40 ms " +
      "of each start",
  },
  {
    flag: "--no-check",
    reason: "the bundle is JavaScript; deno task check has seen its sources",
  },
];
