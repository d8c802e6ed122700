/**
 * Ethernet hardware addresses.
 *
 * @module
 */

const HEX = "[0-9a-f]";
const FORMS = [
  `${HEX}{2}(:${HEX}{2}){5}`,
  `${HEX}{2}(-${HEX}{2}){5}`,
  `${HEX}{4}(\\.${HEX}{4}){2}`,
];
const MAC = new RegExp(`^(${FORMS.join("|")})$`, "i");

/** Six bytes as a number, to compare thousands. */
export function macKey(bytes: Uint8Array): number {
  return bytes.reduce((key, byte) => key * 256 + byte, 0);
}

/** Six bytes as `aa:bb:cc:dd:ee:ff`, lower case. */
export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"))
    .join(":");
}

/**
 * Reads six bytes in a form that Go's `net.ParseMAC` takes: `aa:bb:cc:dd:ee:ff`,
 * `aa-bb-cc-dd-ee-ff` or `aabb.ccdd.eeff`, in either case; undefined for anything
 * else.
 */
export function parseMac(text: string): Uint8Array | undefined {
  if (!MAC.test(text)) return undefined;
  return Uint8Array.fromHex(text.replaceAll(/[:.-]/g, ""));
}
