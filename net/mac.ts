/**
 * Ethernet hardware addresses.
 *
 * @module
 */

/** Six bytes as `aa:bb:cc:dd:ee:ff`, lower case. */
export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"))
    .join(":");
}
