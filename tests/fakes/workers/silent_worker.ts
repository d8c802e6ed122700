/**
 * A data path's worker that never says anything.
 *
 * @module
 */

/// <reference lib="deno.worker" />

self.onmessage = () => {};
