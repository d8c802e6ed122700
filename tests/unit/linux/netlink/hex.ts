/** Bytes as a debugger shows them, for the byte tables of these tests. */

export function fromHex(text: string): Uint8Array {
  const digits = text.replaceAll(/\s/g, "");
  return Uint8Array.from(
    { length: digits.length / 2 },
    (_, i) => parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  );
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"))
    .join(" ");
}
