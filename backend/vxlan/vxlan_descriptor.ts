/**
 * flannel's `vxlan` backend in the list of backends.
 *
 * @module
 */

import * as v from "valibot";
import type {
  BackendDescriptor,
  BackendOptions,
} from "../backend_descriptor.ts";
import { kernelParts } from "../kernel_parts.ts";
import { flag, wholeNumber } from "../option_schemas.ts";
import { vxlanInspector } from "./inspect_vxlan.ts";
import { vtepMac } from "./vtep_mac.ts";
import { createVxlanBackend } from "./vxlan_backend.ts";
import {
  DEFAULT_VXLAN_PORT,
  LARGEST_NAMED_VNI,
  VXLAN_ENCAPSULATION_BYTES,
  vxlanDeviceName,
  vxlanMtuBytes,
  type VxlanOptions,
} from "./vxlan_options.ts";

const DEFAULT_VNI = 1;
/** An overlay with less would not carry what every IPv4 host takes (RFC 791). */
const LEAST_OUTER_MTU = VXLAN_ENCAPSULATION_BYTES + 576;

const OPTIONS = {
  VNI: wholeNumber(
    0,
    LARGEST_NAMED_VNI,
    `VXLAN network identifier; the device is flannel.VNI (default ${DEFAULT_VNI})`,
    DEFAULT_VNI,
  ),
  Port: wholeNumber(
    0,
    65_535,
    `UDP port, the same on all hosts (default, and for 0: ${DEFAULT_VXLAN_PORT})`,
    DEFAULT_VXLAN_PORT,
  ),
  MTU: wholeNumber(
    LEAST_OUTER_MTU,
    65_535,
    "largest outer packet (default: the MTU of the underlay's device)",
  ),
  GBP: flag("VXLAN group policy (default false)"),
  Learning: flag("learn remotes from what arrives (default false)"),
  DirectRouting: flag(
    "route to peers on the underlay's link without encapsulation (default false)",
  ),
  // flannel has them on Windows, and ignores them elsewhere.
  Name: v.optional(v.pipe(v.unknown(), v.description("not used on Linux"))),
  MacPrefix: v.optional(
    v.pipe(v.unknown(), v.description("not used on Linux")),
  ),
};
const optionsSchema = v.object(OPTIONS);

/** See {@linkcode createVxlanBackend}. */
export const vxlanDescriptor: BackendDescriptor = {
  type: "vxlan",
  options: OPTIONS,
  examples: {
    VNI: DEFAULT_VNI,
    Port: DEFAULT_VXLAN_PORT,
    MTU: 1500,
    GBP: false,
    Learning: false,
    DirectRouting: true,
  },
  overlayMtuBytes: (options, underlayMtuBytes) =>
    vxlanMtuBytes(read(options), underlayMtuBytes),
  deviceName: (options) => vxlanDeviceName(read(options)),
  routesByUnderlay: (options) => read(options).directRouting,
  inspector: (options) =>
    vxlanInspector(vxlanDeviceName(read(options)), read(options).port),
  create({ deviceAlias, parts, vxlan }, options, { publicIp }) {
    const given = read(options);
    const { ethtool } = parts;
    return createVxlanBackend({ ...kernelParts(parts), ethtool }, {
      ...given,
      ...vxlan,
      deviceAlias,
      mac: vtepMac(deviceAlias, given.vni, publicIp),
    });
  },
};

function read(options: BackendOptions): VxlanOptions {
  const given = v.parse(optionsSchema, options);
  return {
    vni: given.VNI ?? DEFAULT_VNI,
    port: given.Port || DEFAULT_VXLAN_PORT,
    outerMtuBytes: given.MTU,
    groupPolicy: given.GBP,
    learning: given.Learning,
    directRouting: given.DirectRouting,
  };
}
