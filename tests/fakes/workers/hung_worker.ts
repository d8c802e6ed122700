/**
 * A data path's worker that says it runs and then hears nothing any more, as one
 * that hangs in a system call.
 *
 * @module
 */

/// <reference lib="deno.worker" />

self.onmessage = () => {
  self.postMessage({ type: "running" });
  // Nobody ever wakes it.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
};
