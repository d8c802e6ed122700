/**
 * The events that one listener has not taken yet.
 *
 * @module
 */

/** How much of it there may be. */
export interface EventQueueLimits {
  readonly lines: number;
  /** UTF-16 units of all lines. */
  readonly characters: number;
}

/** About a second of all that there can be. */
const EVENT_QUEUE_LIMITS: EventQueueLimits = {
  lines: 4_096,
  characters: 1 << 20,
};
/** Of one {@linkcode EventQueue.next}. */
const MOST_AT_ONCE = 256;

/**
 * A queue that does not grow. A listener that does not read loses events, and
 * learns how many when it reads again.
 */
export class EventQueue {
  readonly #limits: EventQueueLimits;
  readonly #lossLine: (count: number) => string;
  #lines: string[] = [];
  #characters = 0;
  #lost = 0;
  #isClosed = false;
  #wake: (() => void) | undefined;

  /** @param lossLine The event that says how many were lost. */
  constructor(
    lossLine: (count: number) => string,
    limits: EventQueueLimits = EVENT_QUEUE_LIMITS,
  ) {
    this.#lossLine = lossLine;
    this.#limits = limits;
  }

  /** Adds a line without its line feed. */
  push(line: string): void {
    if (this.#isClosed) return;
    const { characters, lines } = this.#limits;
    // Once one is lost, all are until the listener knows: the order is kept.
    const isFull = this.#lost > 0 || this.#lines.length >= lines ||
      this.#characters + line.length > characters;
    if (isFull) {
      this.#lost++;
    } else {
      this.#lines.push(line);
      this.#characters += line.length;
    }
    this.#wake?.();
  }

  /** The next lines, each with a line feed; `undefined` once it is closed. */
  async next(): Promise<string | undefined> {
    while (this.#lines.length === 0 && this.#lost === 0) {
      if (this.#isClosed) return undefined;
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = undefined;
    }
    if (this.#lines.length === 0) {
      const line = this.#lossLine(this.#lost);
      this.#lost = 0;
      return `${line}\n`;
    }
    const taken = this.#lines.splice(0, MOST_AT_ONCE);
    for (const line of taken) this.#characters -= line.length;
    return taken.map((line) => `${line}\n`).join("");
  }

  /** What is there can still be taken. */
  close(): void {
    this.#isClosed = true;
    this.#wake?.();
  }
}
