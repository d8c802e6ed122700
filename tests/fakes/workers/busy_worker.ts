/**
 * A data path's worker that wants a helper at once; the helper fails, so that it is
 * seen.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import type { StartMessage } from "../../../backend/udp/tun/worker_messages.ts";

self.onmessage = ({ data }: MessageEvent<StartMessage>) => {
  if (data.role === "helper") {
    self.postMessage({ type: "failed", message: "here is the helper" });
    return;
  }
  self.postMessage({ type: "running" });
  self.postMessage({ type: "wants-helper" });
  self.postMessage({ type: "ended", errno: 0 });
};
