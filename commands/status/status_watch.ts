/**
 * `loden status --watch`.
 *
 * @module
 */

import type { Clock } from "../../linux/clock.ts";
import type { CommandIo } from "../command.ts";

const PAUSE_MS = 2_000;
/** ECMA-48: erases the screen and goes to its first line. */
const CLEAR = "\x1b[2J\x1b[H";

/** Shows what `look` gives again and again, until the reader has gone. */
export async function watchStatus(
  io: Pick<CommandIo, "stdout" | "terminal">,
  clock: Pick<Clock, "sleep">,
  look: () => Promise<string>,
): Promise<void> {
  for (;;) {
    const text = await look();
    const clear = io.terminal() === undefined ? "" : CLEAR;
    if (!io.stdout(clear + text)) return;
    await clock.sleep(PAUSE_MS);
  }
}
