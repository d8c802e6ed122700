/**
 * Closes the debugger port that Deno opens on SIGUSR1, which Loden uses.
 *
 * @module
 */

/** Deno opens the port a few milliseconds after the signal. */
const LOOK_EVERY_MS = 1;
const LOOK_FOR_MS = 1_000;

/**
 * Since 2.9.2, `deno run` reacts to SIGUSR1 by listening for a debugger on
 * 127.0.0.1:9229, and no option prevents it. Any local user could take over the
 * agent there, so the port is closed as soon as it opens. A compiled Loden has
 * no debugger.
 *
 * Source: denoland/deno#35738.
 */
export async function closeDebugger(): Promise<void> {
  const { close, url } = await import("node:inspector");
  for (let waitedMs = 0; waitedMs < LOOK_FOR_MS; waitedMs += LOOK_EVERY_MS) {
    if (url() !== undefined) return close();
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}
