/**
 * One worker of the data path, on the main thread's side.
 *
 * @module
 */

import { setFlagsFromString } from "node:v8";
import { libc } from "../../../linux/libc.ts";
import type { StartMessage, WorkerMessage } from "./worker_messages.ts";

/** mallopt(3): the most heaps that the C library makes for its threads. */
const M_ARENA_MAX = -8;

/**
 * Before the first worker is made, since a heap keeps the limits it was born
 * with. A worker allocates next to nothing, but what little it does would fill
 * half spaces of 16 MiB before anything is collected; and each thread would have
 * an arena of the C library for itself, nearly empty.
 */
function keepWorkersSmall(): void {
  setFlagsFromString("--max-semi-space-size=1");
  libc().mallopt(M_ARENA_MAX, 1);
}

/** Requests of the worker to the main thread. */
export interface WorkerThreadEvents {
  onWantsHelper(): void;
  /** The worker ended unexpectedly or could not start. */
  onFailure(reason: string): void;
}

/** Starts at once; ends on request through the shared memory. */
export class WorkerThread {
  readonly #worker: Worker;
  readonly #events: WorkerThreadEvents;
  readonly #running = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();

  /** Resolves when the worker's loop runs, rejects when it will not. */
  get running(): Promise<void> {
    return this.#running.promise;
  }

  constructor(
    start: StartMessage,
    events: WorkerThreadEvents,
    code: URL = new URL("./worker.ts", import.meta.url),
  ) {
    this.#events = events;
    this.#running.promise.catch(() => {});
    keepWorkersSmall();
    this.#worker = new Worker(code, {
      type: "module",
      name: `data-path-${start.role}`,
    });
    this.#worker.onmessage = ({ data }: MessageEvent<WorkerMessage>) =>
      this.#onMessage(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(event.message);
    };
    this.#worker.postMessage(start);
  }

  #onMessage(message: WorkerMessage): void {
    switch (message.type) {
      case "running":
        // What loading its code has left in the C library's heap.
        libc().malloc_trim(0);
        this.#running.resolve();
        break;
      case "wants-helper":
        this.#events.onWantsHelper();
        break;
      case "ended":
        if (message.errno === 0) this.#ended.resolve();
        else this.#fail("the device is gone or cannot be used");
        break;
      case "failed":
        this.#fail(message.message);
        break;
    }
  }

  #fail(reason: string): void {
    this.#running.reject(new Error(reason));
    this.#ended.resolve();
    this.#events.onFailure(reason);
  }

  /**
   * Waits for the worker after it was told to stop. Returns whether it has
   * ended; one that hangs in a system call ends with the process.
   */
  async end(patienceMs: number): Promise<boolean> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ended = await Promise.race([
      this.#ended.promise.then(() => true),
      new Promise<boolean>((resolve) => {
        timer = setTimeout(() => resolve(false), patienceMs);
      }),
    ]);
    clearTimeout(timer);
    this.#worker.terminate();
    return ended;
  }
}
