/**
 * What the code under test logs.
 *
 * @module
 */

import { configureSync, type LogRecord, resetSync } from "@logtape/logtape";

/** Keeps every record of Loden until it is disposed of. */
export class CapturedLogs implements Disposable {
  readonly records: LogRecord[] = [];

  /** One at a time: the logging configuration is the process's. */
  constructor() {
    configureSync({
      sinks: { memory: (record) => this.records.push(record) },
      loggers: [
        { category: "loden", sinks: ["memory"], lowestLevel: "debug" },
        { category: ["logtape", "meta"], sinks: [] },
      ],
    });
  }

  /** The fields of the records whose `event` is this one. */
  events(event: string): Record<string, unknown>[] {
    return this.records.map(({ properties }) => properties)
      .filter((properties) => properties.event === event);
  }

  [Symbol.dispose](): void {
    resetSync();
  }
}
