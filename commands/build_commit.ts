/**
 * The commit that this Loden was built from.
 *
 * @module
 */

import { HostCommandRunner } from "../linux/command.ts";
import { COMMIT } from "../version.ts";

/** Stands for an unknown commit. */
const UNKNOWN = "unknown";
/** git normally answers at once. */
const GIT_LIMIT_MS = 5_000;

/** 40 hexadecimal digits, with `-dirty` behind them when files were changed. */
export async function buildCommit(): Promise<string> {
  return COMMIT ?? await sourceCommit();
}

/** The commit of the sources, by git; `unknown` without one. */
export async function sourceCommit(signal?: AbortSignal): Promise<string> {
  const root = new URL("../", import.meta.url).pathname;
  const limit = AbortSignal.timeout(GIT_LIMIT_MS);
  try {
    const { code, stdout } = await new HostCommandRunner().run("git", [
      // This tree's own, not that of a directory above it.
      ...[`--git-dir=${root}.git`, `--work-tree=${root}`],
      ...["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
    ], { signal: signal ? AbortSignal.any([signal, limit]) : limit });
    return code === 0 ? stdout.trim() : UNKNOWN;
  } catch {
    // Without git, without sources or after a timeout, a version is printed all
    // the same.
    signal?.throwIfAborted();
    return UNKNOWN;
  }
}
