/**
 * flannel's `udp` backend in the list of backends (compat 2.5, 7).
 *
 * @module
 */

import * as v from "valibot";
import { UDP_ENCAPSULATION_BYTES } from "../../net/mtu.ts";
import type { BackendDescriptor } from "../backend_descriptor.ts";
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
  hasDataPaths: true,
  deviceKinds: ["veth", "tun"],
  inspector: (options) =>
    udpInspector(v.parse(optionsSchema, options).Port ?? DEFAULT_PORT),
  create({ deviceAlias, parts, udp }, options) {
    const { Port = DEFAULT_PORT } = v.parse(optionsSchema, options);
    return new UdpBackend(parts, { ...udp, deviceAlias, port: Port });
  },
};
