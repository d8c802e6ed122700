/**
 * Says what a command waits for, if that takes longer than a second.
 *
 * @module
 */

import { type Clock, slept } from "../../linux/clock.ts";
import type { CommandIo } from "../command.ts";
import { withoutControls } from "./controls.ts";

/** A wait that is shorter is not worth a line; also how often it is drawn. */
const SILENT_MS = 1_000;
/** ECMA-48: goes to the line's begin and erases it. */
const ERASE = "\r\x1b[K";

/**
 * Writes to stderr. On a terminal it is one line with the seconds, which changes
 * in place and disappears at the end. Elsewhere each thing that takes longer than
 * a second is a line.
 */
export class Progress implements Disposable {
  readonly #io: Pick<CommandIo, "stderr" | "errorTerminal">;
  readonly #clock: Pick<Clock, "monotonic" | "sleep">;
  #text: string | undefined;
  #sinceMs = 0;
  #isDrawn = false;
  #following = new AbortController();

  constructor(
    io: Pick<CommandIo, "stderr" | "errorTerminal">,
    clock: Pick<Clock, "monotonic" | "sleep">,
  ) {
    this.#io = io;
    this.#clock = clock;
  }

  /**
   * What the command does from now on, as in `waiting for etcd`; `undefined`:
   * nothing that is worth a line.
   */
  say(text: string | undefined): void {
    if (text === this.#text) return;
    this.#following.abort();
    this.#text = text;
    this.#sinceMs = this.#clock.monotonic();
    if (text === undefined) return this.erase();
    if (this.#isDrawn) this.#draw(text);
    this.#following = new AbortController();
    this.#follow(text, this.#following.signal);
  }

  /** Makes room for other output; the line comes back if the wait goes on. */
  erase(): void {
    if (this.#isDrawn) this.#io.stderr(ERASE);
    this.#isDrawn = false;
  }

  [Symbol.dispose](): void {
    this.#following.abort();
    this.erase();
  }

  async #follow(text: string, signal: AbortSignal): Promise<void> {
    while (await slept(this.#clock, SILENT_MS, signal)) {
      if (this.#io.errorTerminal() === undefined) {
        return this.#io.stderr(`loden: ${withoutControls(text)}\n`);
      }
      this.#draw(text);
    }
  }

  #draw(text: string): void {
    const passedMs = this.#clock.monotonic() - this.#sinceMs;
    const end = ` (${Math.round(passedMs / 1_000)} s)`;
    const columns = this.#io.errorTerminal()?.columns ?? Infinity;
    // A line that fills the terminal would break, and only its end be erased.
    const room = Math.max(0, columns - 1 - end.length);
    const line = withoutControls(`loden: ${text}`);
    const shown = line.length <= room ? line : `${line.slice(0, room - 1)}…`;
    this.#io.stderr(ERASE + shown + end);
    this.#isDrawn = true;
  }
}
