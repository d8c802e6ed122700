/**
 * Reports lasting problems once.
 *
 * @module
 */

/** A problem with one key. */
export interface Report {
  readonly key: string;
  readonly code: string;
  readonly reason: string;
}

/** Remembers what was reported, so that the log has one line per change. */
export class ChangingReports {
  #told = new Map<string, string>();

  /**
   * Those of `current` that are new or have a new reason. A problem that is no
   * longer in `current` is forgotten, and counts as new if it comes back.
   */
  changed<T extends Report>(current: readonly T[]): T[] {
    const next = new Map<string, string>();
    const changed = current.filter(({ key, code, reason }) => {
      const id = `${code} ${key}`;
      next.set(id, reason);
      return this.#told.get(id) !== reason;
    });
    this.#told = next;
    return changed;
  }
}
