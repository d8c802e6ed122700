/**
 * flannel's `wireguard` backend in the list of backends.
 *
 * @module
 */

import * as v from "valibot";
import { formatMac } from "../../net/mac.ts";
import type {
  BackendDescriptor,
  BackendOptions,
} from "../backend_descriptor.ts";
import { kernelParts } from "../kernel_parts.ts";
import { wholeNumber } from "../option_schemas.ts";
import { tunnelObstacle } from "../tunnel_device.ts";
import { wireguardInspector } from "./inspect_wireguard.ts";
import { createWireguardBackend } from "./wireguard_backend.ts";
import {
  DEFAULT_WIREGUARD_PORT,
  parseWireguardKey,
  WIREGUARD_DEVICE,
  WIREGUARD_ENCAPSULATION_BYTES,
  WIREGUARD_KEY_TEXT,
  wireguardMtuBytes,
  type WireguardOptions,
} from "./wireguard_options.ts";

/** An overlay with less would not carry what every IPv4 host takes (RFC 791). */
const LEAST_OUTER_MTU = WIREGUARD_ENCAPSULATION_BYTES + 576;
const MODES = ["separate", "auto", "ipv4"] as const;
const MODE_RULE = `one of ${MODES.join(", ")}, because the underlay is IPv4`;
/** Without one, it is empty. */
const PSK_TEXT = new RegExp(`${WIREGUARD_KEY_TEXT.source}|^$`);
const PSK_RULE = "32 bytes in base64, as wg genpsk prints them";

const OPTIONS = {
  ListenPort: wholeNumber(
    1,
    65_535,
    `UDP port of this network's hosts (default ${DEFAULT_WIREGUARD_PORT})`,
    DEFAULT_WIREGUARD_PORT,
  ),
  ListenPortV6: wholeNumber(
    1,
    65_535,
    "UDP port of a device for IPv6, which Loden does not have",
  ),
  MTU: wholeNumber(
    LEAST_OUTER_MTU,
    65_535,
    "largest outer packet (default: the MTU of the underlay's device)",
  ),
  PSK: v.optional(
    v.pipe(
      v.string(PSK_RULE),
      v.regex(PSK_TEXT, PSK_RULE),
      v.description(
        "a key of 32 bytes in base64 that all hosts share in addition (default: none)",
      ),
    ),
    "",
  ),
  PersistentKeepaliveInterval: wholeNumber(
    0,
    65_535,
    "seconds after which a silent peer is sent an empty packet (default, and for 0: never)",
    0,
  ),
  Mode: v.optional(
    v.pipe(
      v.picklist(MODES, MODE_RULE),
      v.description(
        "devices for IPv4 and IPv6; all the same to Loden, which has IPv4 (default separate)",
      ),
    ),
    "separate",
  ),
};
const optionsSchema = v.object(OPTIONS);

/** See {@linkcode createWireguardBackend}. */
export const wireguardDescriptor: BackendDescriptor = {
  type: "wireguard",
  options: OPTIONS,
  secretOptions: ["PSK"],
  hasKey: true,
  examples: {
    ListenPort: DEFAULT_WIREGUARD_PORT,
    ListenPortV6: 51821,
    MTU: 1500,
    PSK: "",
    PersistentKeepaliveInterval: 25,
    Mode: "separate",
  },
  overlayMtuBytes: (options, underlayMtuBytes) =>
    wireguardMtuBytes(read(options), underlayMtuBytes),
  deviceName: () => WIREGUARD_DEVICE,
  encrypts: true,
  runsAlone:
    "packets to hosts that have not changed yet would leave in clear text",
  obstacle: () => tunnelObstacle(WIREGUARD_DEVICE, "wireguard"),
  inspector: (options) =>
    wireguardInspector(WIREGUARD_DEVICE, read(options).port),
  create({ deviceAlias, parts, wireguard }, options, { mac }) {
    return createWireguardBackend({
      ...kernelParts(parts),
      wallClock: parts.clock,
      wireguard: wireguard.netlink(),
      loadKey: () => wireguard.keys.load(formatMac(mac)),
    }, { ...read(options), deviceAlias });
  },
};

function read(options: BackendOptions): WireguardOptions {
  const given = v.parse(optionsSchema, options);
  return {
    port: given.ListenPort ?? DEFAULT_WIREGUARD_PORT,
    outerMtuBytes: given.MTU,
    presharedKey: parseWireguardKey(given.PSK),
    keepaliveSeconds: given.PersistentKeepaliveInterval ?? 0,
  };
}
