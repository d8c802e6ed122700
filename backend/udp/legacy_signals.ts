/**
 * Signals between hosts of one kernel in earlier versions of Loden.
 *
 * They look for peers that receive TCP super-packets whole: by *probes*, copies
 * of super-packets, which a peer answers by a word in the identification of its
 * outer headers (kernel data path) or by *receipts* (user space). This version
 * never answers, so it is never sent more than a probe every 30 seconds. It
 * drops probes, whose content also arrives in other packets, and receipts, and
 * counts both as `rx.legacySignals`.
 *
 * Plain constants only: the AssemblyScript compiler reads this file too.
 *
 * @module
 */

/**
 * The identification of the outer header of a super-packet that is a probe between
 * kernel data paths. The two lowest bits, outside of the mask, have other meanings.
 */
export const PROBE_ID = 0x4c54;
export const PROBE_ID_MASK = 0xfffc;

/** A receipt: {@linkcode RECEIPT_MARK}, big endian, then a subnet's first address. */
export const RECEIPT_BYTES = 8;
export const RECEIPT_MARK = 0x004c6f01;
