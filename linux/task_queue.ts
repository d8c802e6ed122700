/**
 * Work that must not overlap.
 *
 * @module
 */

/** Runs tasks one after the other, in the order of the calls. */
export class TaskQueue {
  #last: Promise<unknown> = Promise.resolve();

  /** The caller gets what the task throws; the next task runs all the same. */
  run<T>(task: () => Promise<T> | T): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => {});
    return result;
  }

  /** Resolves when the tasks so far have ended. */
  get idle(): Promise<unknown> {
    return this.#last;
  }
}
