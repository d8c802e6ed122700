/**
 * Troubles that last, each told once.
 *
 * @module
 */

/** Something that is wrong with one key. */
export interface Report {
  readonly key: string;
  readonly code: string;
  readonly reason: string;
}

/** Remembers what was told, so that a log has one line per change. */
export class ChangingReports {
  #told = new Map<string, string>();

  /**
   * Those of `current` that are new or have another reason than before. What is
   * no longer in `current` is forgotten, and new when it comes back.
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
