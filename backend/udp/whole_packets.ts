/**
 * Super-packets that a kernel data path sends to one in user space as they are:
 * what both must agree about. Plain constants only: the AssemblyScript compiler
 * reads this file too.
 *
 * Such a datagram holds a TCP packet longer than any link's, whose checksum is its
 * pseudo header's sum only (the kernel's CHECKSUM_PARTIAL). Its source port is the
 * payload of each packet that it is to be cut into, bytes; nobody looks at the
 * source port of others.
 *
 * Who gets one whole says so by a *receipt*, a datagram of
 * {@linkcode RECEIPT_BYTES} that is no IPv4 packet: {@linkcode RECEIPT_MARK}, then
 * the first address of its subnet (network byte order).
 *
 * @module
 */

/** The least payload of a packet; with less, a datagram would be too many. */
export const LEAST_SEGMENT_BYTES = 512;

/** The first four bytes of a receipt, big endian: version 0 of IP, and "Lo\x01". */
export const RECEIPT_MARK = 0x004c6f01;
/** Shorter than any IPv4 packet: who does not know it drops and counts it so. */
export const RECEIPT_BYTES = 8;

/** Between two receipts to one host, milliseconds. */
export const RECEIPT_REST_MS = 250;
/** How long one counts: some may be lost. Milliseconds. */
export const RECEIPT_LIFE_MS = 1_000;
