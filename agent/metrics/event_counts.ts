/**
 * Counts log records, by level and by event.
 *
 * Events are an interface (docs/logging.md), so what happened is counted where it is
 * reported, and the parts that report it know nothing of metrics.
 *
 * @module
 */

import type { LogRecord } from "@logtape/logtape";

/** The levels that are counted. */
export const LOG_LEVELS = ["info", "warning", "error", "fatal"] as const;

/** A sink of LogTape, and what it has counted. */
export class EventCounts {
  readonly #levels = new Map<string, number>();
  readonly #events = new Map<string, number>();

  /** The sink. */
  readonly count = ({ level, properties }: LogRecord): void => {
    add(this.#levels, level);
    if (typeof properties.event === "string") {
      add(this.#events, properties.event);
    }
  };

  /** How many records of a level there were. */
  level(level: typeof LOG_LEVELS[number]): number {
    return this.#levels.get(level) ?? 0;
  }

  /** How often an event was reported. */
  event(name: string): number {
    return this.#events.get(name) ?? 0;
  }
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
