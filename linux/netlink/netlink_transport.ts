/**
 * The interface between netlink exchanges and the kernel.
 *
 * @module
 */

/** Carries datagrams; tests replace it with a scripted kernel. */
export interface NetlinkTransport extends Disposable {
  /** Sends one datagram to the kernel. Throws {@linkcode SystemCallError}. */
  send(bytes: Uint8Array<ArrayBuffer>): void;
  /**
   * The next datagram, whole; it is valid until the next call. Throws
   * {@linkcode SystemCallError}: `ENOBUFS` when the kernel had to drop an
   * answer, `EAGAIN` when none came in time.
   */
  receive(): Uint8Array;
  /** Discards all pending answers. */
  reset(): void;
}
