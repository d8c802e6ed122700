/**
 * Messages between the main thread and the workers of the data path.
 *
 * Only the start and the end are messages. In between, a worker sits in poll(2)
 * and never comes back to its event loop: peers and counters go through the
 * shared memory, and an eventfd wakes the worker.
 *
 * @module
 */

import type { DataPathFeatures } from "../features.ts";

/** Which loop a worker runs. */
export type WorkerRole = "primary" | "helper";

/** Main thread to worker, once. */
export interface StartMessage {
  readonly role: WorkerRole;
  readonly memory: WebAssembly.Memory;
  readonly module: WebAssembly.Module;
  readonly tunDescriptor: number;
  readonly udpDescriptor: number;
  /** Wakes this worker. */
  readonly wakeUpDescriptor: number;
  /** Wakes the worker of the other role. */
  readonly otherWakeUpDescriptor: number;
  readonly udpPort: number;
  /** Whether datagrams must come by a device that leads to their sender. */
  readonly checksInterface: boolean;
  readonly features: DataPathFeatures;
}

/** Worker to main thread. */
export type WorkerMessage =
  | { readonly type: "running" }
  /** The primary worker has enough to do for two. */
  | { readonly type: "wants-helper" }
  /** `errno` is 0 after a stop that was asked for. */
  | { readonly type: "ended"; readonly errno: number }
  | { readonly type: "failed"; readonly message: string };
