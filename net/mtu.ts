/**
 * Underlay and overlay MTU, as distinct types so that they are never confused.
 *
 * @module
 */

declare const mtuBrand: unique symbol;

/**
 * Size in bytes of the largest IPv4 packet on the underlay (the outer packet).
 */
export type UnderlayMtu = number & { readonly [mtuBrand]: "underlay" };

/**
 * Size in bytes of the largest IPv4 packet on the overlay (the inner packet).
 */
export type OverlayMtu = number & { readonly [mtuBrand]: "overlay" };

/** Outer IPv4 header (20) and UDP header (8): flannel's udp format, compat 7.1. */
export const UDP_ENCAPSULATION_BYTES = 28;

/** Every IPv4 network carries packets of 68 bytes: RFC 791. */
export const LEAST_OVERLAY_MTU_BYTES = 68;

/** RFC 791. A loopback interface's MTU is larger. */
const LARGEST_IPV4_PACKET_BYTES = 65_535;

/** The largest packet of an interface with an MTU of so many bytes. */
export function underlayMtu(bytes: number): UnderlayMtu {
  return Math.min(bytes, LARGEST_IPV4_PACKET_BYTES) as UnderlayMtu;
}

/** An overlay device's MTU in bytes. */
export function overlayMtu(bytes: number): OverlayMtu {
  return bytes as OverlayMtu;
}
