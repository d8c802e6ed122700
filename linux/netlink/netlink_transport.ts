/**
 * The edge between netlink conversations and the kernel.
 *
 * @module
 */

/** Carries whole datagrams; tests put a scripted kernel behind it. */
export interface NetlinkTransport extends Disposable {
  /** Sends one datagram to the kernel. Throws {@linkcode SystemCallError}. */
  send(bytes: Uint8Array<ArrayBuffer>): void;
  /**
   * The next datagram, whole; it is valid until the next call. Throws
   * {@linkcode SystemCallError}: `ENOBUFS` when the kernel had to drop an
   * answer, `EAGAIN` when none came in time.
   */
  receive(): Uint8Array;
  /** Forgets all answers that are under way. */
  reset(): void;
}
