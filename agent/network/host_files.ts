/**
 * Writes the files that describe the overlay to other programs.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError } from "../../errors.ts";
import type { SubnetEnv } from "../../host/subnet_env.ts";
import type { WarningCode } from "../status/health.ts";
import { type RetryComponents, retryUntilDone } from "../tasks/retry.ts";
import type { AgentState } from "../status/state.ts";

const log = getLogger(["loden", "agent"]);

/** One of them. */
export interface HostFile {
  readonly path: string;
  /** The warning that is raised while it cannot be written. */
  readonly warning: WarningCode;
  write(env: SubnetEnv): Promise<void>;
}

/**
 * Longer pauses than elsewhere, because each attempt may burden a full disk.
 */
const MAX_PAUSE_MS = 10_000;

/**
 * Writes all files, each again until it succeeds: a full disk or a missing
 * mount may be temporary. Resolves when all are written.
 *
 * @throws the signal's reason if aborted.
 */
export async function writeHostFiles(
  files: readonly HostFile[],
  env: SubnetEnv,
  components: RetryComponents & { readonly state: AgentState },
  signal: AbortSignal,
): Promise<void> {
  const { state } = components;
  const written = new Set<string>();
  const report = () =>
    state.set({
      files: files.map(({ path }) => ({ path, written: written.has(path) })),
    });
  report();
  await Promise.all(files.map(async (file) => {
    await retryUntilDone(() => file.write(env), components, {
      signal,
      maxMs: MAX_PAUSE_MS,
      onFailure: (error) => {
        const reason = describeError(error);
        if (!state.raise(file.warning, reason)) return;
        if (!state.facts.ready) state.waitFor("files", reason);
        log.error("host file cannot be written", {
          event: "files.failed",
          path: file.path,
          error,
        });
      },
    });
    state.clear(file.warning);
    written.add(file.path);
    report();
    log.info("host file written", { event: "files.written", path: file.path });
  }));
}
