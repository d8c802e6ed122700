/**
 * The options of the wireguard backend in a network config.
 *
 * @module
 */

/** flannel's default. */
export const DEFAULT_WIREGUARD_PORT = 51820;
/**
 * What flannel takes off for both families: outer IPv6 (40) and UDP header (8),
 * WireGuard's header and tag (32).
 */
export const WIREGUARD_ENCAPSULATION_BYTES = 80;
/** flannel's name of the device. */
export const WIREGUARD_DEVICE = "flannel-wg";

/** flannel's, in its spelling but for the case. */
export interface WireguardOptions {
  readonly port: number;
  /** Of outer packets; `undefined`: as the underlay's device. */
  readonly outerMtuBytes: number | undefined;
  /** The key that all hosts share in addition; 32 bytes. */
  readonly presharedKey: Uint8Array | undefined;
  /** 0: none. */
  readonly keepaliveSeconds: number;
}

/** Of inner packets. An option above the underlay's MTU has no effect. */
export function wireguardMtuBytes(
  { outerMtuBytes }: Pick<WireguardOptions, "outerMtuBytes">,
  underlayMtuBytes: number,
): number {
  return Math.min(outerMtuBytes ?? underlayMtuBytes, underlayMtuBytes) -
    WIREGUARD_ENCAPSULATION_BYTES;
}

/** Base64 of 32 bytes, as `wg genkey` prints it. */
export const WIREGUARD_KEY_TEXT = /^[A-Za-z0-9+/]{43}=$/;

/** The 32 bytes of a key in base64; `undefined` if they are not that. */
export function parseWireguardKey(text: string): Uint8Array | undefined {
  return WIREGUARD_KEY_TEXT.test(text)
    ? Uint8Array.fromBase64(text)
    : undefined;
}
