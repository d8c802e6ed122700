/**
 * flannel's `ipip` backend in the list of backends.
 *
 * @module
 */

import * as v from "valibot";
import type { BackendDescriptor } from "../backend_descriptor.ts";
import { gatewayInspector } from "../inspection.ts";
import { kernelParts } from "../kernel_parts.ts";
import { flag } from "../option_schemas.ts";
import { tunnelObstacle } from "../tunnel_device.ts";
import { createIpipBackend } from "./ipip_backend.ts";
import { IPIP_DEVICE, ipipMtuBytes } from "./ipip_options.ts";

const IPPROTO_IPIP = 4;

const OPTIONS = {
  DirectRouting: flag(
    "route to peers on the underlay's link without encapsulation (default false)",
  ),
};
const optionsSchema = v.object(OPTIONS);

/** See {@linkcode createIpipBackend}. */
export const ipipDescriptor: BackendDescriptor = {
  type: "ipip",
  options: OPTIONS,
  examples: { DirectRouting: true },
  overlayMtuBytes: (_options, underlayMtuBytes) =>
    ipipMtuBytes(underlayMtuBytes),
  deviceName: () => IPIP_DEVICE,
  obstacle: () => tunnelObstacle(IPIP_DEVICE, "ipip"),
  routesByUnderlay: (options) => v.parse(optionsSchema, options).DirectRouting,
  inspector: () => gatewayInspector({ protocol: IPPROTO_IPIP }),
  create({ deviceAlias, parts }, options) {
    const { DirectRouting: directRouting } = v.parse(optionsSchema, options);
    return createIpipBackend(kernelParts(parts), {
      deviceAlias,
      directRouting,
    });
  },
};
