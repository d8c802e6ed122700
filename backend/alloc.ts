/**
 * flannel's `alloc` backend: the host gets a subnet, and carrying packets is left
 * to others. No device, no routes (flannel's `pkg/backend/alloc`).
 *
 * @module
 */

import { overlayMtu } from "../net/mtu.ts";
import type { Backend } from "./backend.ts";
import type { BackendDescriptor } from "./backend_descriptor.ts";
import { blindInspector } from "./inspection.ts";

/** It has no options. */
export const allocDescriptor: BackendDescriptor = {
  type: "alloc",
  options: {},
  examples: {},
  overlayMtuBytes: (_options, underlayMtuBytes) => underlayMtuBytes,
  deviceName: () => undefined,
  runsAlone: "it carries no packets, and its leases look like those of udp",
  inspector: () =>
    blindInspector("alloc carries no packets: the cloud's routes do"),
  create: createAllocBackend,
};

function createAllocBackend(): Backend {
  const ended = Promise.withResolvers<void>();
  let peers = 0;
  return {
    type: "alloc",
    failed: ended.promise,
    advertise: () => ({ backendType: "alloc" }),
    start: ({ underlay }, signal) =>
      Promise.try(() => {
        signal.throwIfAborted();
        const mtuBytes = overlayMtu(underlay.mtuBytes);
        return { deviceName: undefined, mtuBytes };
      }),
    apply({ added, removed }) {
      peers += added.length - removed.length;
      return Promise.resolve();
    },
    status: () => ({
      type: "alloc",
      dataPath: "none",
      reason: "alloc carries no packets",
      device: undefined,
      peers,
      outlivesAgent: true,
      counters: {},
    }),
    stop() {
      ended.resolve();
      return Promise.resolve();
    },
  };
}
