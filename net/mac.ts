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

/**
 * Reads six bytes in a form that Go's `net.ParseMAC` takes: `aa:bb:cc:dd:ee:ff`,
 * `aa-bb-cc-dd-ee-ff` or `aabb.ccdd.eeff`, in either case; undefined for anything
 * else.
 */
export function parseMac(text: string): Uint8Array | undefined {
  const hex = "[0-9a-f]";
  const forms = [
    `${hex}{2}(:${hex}{2}){5}`,
    `${hex}{2}(-${hex}{2}){5}`,
    `${hex}{4}(\\.${hex}{4}){2}`,
  ];
  if (!new RegExp(`^(${forms.join("|")})$`, "i").test(text)) return undefined;
  return Uint8Array.fromHex(text.replaceAll(/[:.-]/g, ""));
}
