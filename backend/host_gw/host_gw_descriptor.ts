/**
 * flannel's `host-gw` backend in the list of backends.
 *
 * @module
 */

import type { BackendDescriptor } from "../backend_descriptor.ts";
import { gatewayInspector } from "../inspection.ts";
import { kernelParts } from "../kernel_parts.ts";
import { createHostGwBackend } from "./host_gw_backend.ts";

/** See {@linkcode createHostGwBackend}. */
export const hostGwDescriptor: BackendDescriptor = {
  type: "host-gw",
  options: {},
  examples: {},
  overlayMtuBytes: (_options, underlayMtuBytes) => underlayMtuBytes,
  deviceName: () => undefined,
  routesByUnderlay: () => true,
  inspector: () => gatewayInspector(),
  create: ({ parts }) => createHostGwBackend(kernelParts(parts)),
};
