/**
 * Datagrams of which a receiver can tell that each is whole and in its place.
 *
 * ```text
 *  0        4        8        12
 *  ┌────────┬────────┬────────┬──────────────────────────┐
 *  │ number │ length │ last?  │ bytes that follow from   │
 *  │        │        │        │ the number and the place │
 *  └────────┴────────┴────────┴──────────────────────────┘
 * ```
 *
 * @module
 */

const NUMBERED_HEADER_BYTES = 12;

/** Writes datagram `number` over the whole of `bytes`. */
export function writeNumbered(
  bytes: Uint8Array,
  number: number,
  last: boolean,
): void {
  const view = viewOf(bytes);
  view.setUint32(0, number);
  view.setUint32(4, bytes.length);
  view.setUint32(8, last ? 1 : 0);
  for (let i = NUMBERED_HEADER_BYTES; i < bytes.length; i++) {
    bytes[i] = number * 31 + i * 7;
  }
}

/** What a datagram says; `undefined` when it is not as it was sent. */
export function readNumbered(
  bytes: Uint8Array,
): { readonly number: number; readonly last: boolean } | undefined {
  if (bytes.length < NUMBERED_HEADER_BYTES) return undefined;
  const view = viewOf(bytes);
  const number = view.getUint32(0);
  const expected = new Uint8Array(bytes.length);
  const last = view.getUint32(8) === 1;
  writeNumbered(expected, number, last);
  return bytes.every((byte, i) => byte === expected[i])
    ? { number, last }
    : undefined;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
