/**
 * flannel's `udp` backend in the list of backends (compat 2.5, 7).
 *
 * @module
 */

import * as v from "valibot";
import { UDP_ENCAPSULATION_BYTES } from "../../net/mtu.ts";
import type {
  BackendDescriptor,
  BackendOptions,
} from "../backend_descriptor.ts";
import { wholeNumber } from "../option_schemas.ts";
import { udpInspector } from "./inspect_udp.ts";
import { UdpBackend } from "./udp_backend.ts";

const DEFAULT_PORT = 8285;

const OPTIONS = {
  Port: wholeNumber(
    1,
    65_535,
    `UDP port, the same on all hosts (default ${DEFAULT_PORT})`,
    DEFAULT_PORT,
  ),
};
const optionsSchema = v.object(OPTIONS);

/** See {@linkcode UdpBackend}. */
export const udpDescriptor: BackendDescriptor = {
  type: "udp",
  options: OPTIONS,
  examples: { Port: DEFAULT_PORT },
  overlayMtuBytes: (_options, underlayMtuBytes) =>
    underlayMtuBytes - UDP_ENCAPSULATION_BYTES,
  deviceName: (_options, device) => device,
  socketPort: portOf,
  hasDataPaths: true,
  deviceKinds: ["veth", "tun"],
  inspector: (options) => udpInspector(portOf(options)),
  create({ deviceAlias, parts, udp }, options) {
    const port = portOf(options);
    return new UdpBackend(parts, { ...udp, deviceAlias, port });
  },
};

function portOf(options: BackendOptions): number {
  return v.parse(optionsSchema, options).Port ?? DEFAULT_PORT;
}
