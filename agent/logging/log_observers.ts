/**
 * Parts of the agent that are told of each log event.
 *
 * @module
 */

import type { LogRecord } from "@logtape/logtape";

/** Is told of each event; must not throw. */
export type LogObserver = (record: LogRecord) => void;

/** Those who want to be told now. */
export class LogObservers {
  readonly #observers = new Set<LogObserver>();

  constructor(...observers: readonly LogObserver[]) {
    for (const observer of observers) this.#observers.add(observer);
  }

  /** Until the returned function is called. */
  readonly add = (observer: LogObserver): () => void => {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  };

  /** For `configureLogging`. */
  readonly tell = (record: LogRecord): void => {
    for (const observer of this.#observers) observer(record);
  };
}
