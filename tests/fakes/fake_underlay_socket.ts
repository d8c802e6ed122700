/**
 * A bound UDP socket in memory, to which a test brings datagrams and errors.
 *
 * @module
 */

import type {
  UnderlayDatagram,
  UnderlayError,
  UnderlaySocket,
} from "../../linux/underlay_socket.ts";

/** What is brought waits until it is received. */
export class FakeUnderlaySocket implements UnderlaySocket {
  readonly descriptor = -1;
  truncated = 0;
  dropped = 0;
  readonly #datagramBytes: number;
  readonly #datagrams: UnderlayDatagram[] = [];
  readonly #errors: UnderlayError[] = [];

  constructor(datagramBytes = 65535) {
    this.#datagramBytes = datagramBytes;
  }

  /** A datagram arrives. */
  bring(datagram: UnderlayDatagram): void {
    this.#datagrams.push(datagram);
  }

  /** An error about a packet arrives. */
  bringError(error: UnderlayError): void {
    this.#errors.push(error);
  }

  receive(): UnderlayDatagram | undefined {
    for (;;) {
      const datagram = this.#datagrams.shift();
      if ((datagram?.payload.length ?? 0) <= this.#datagramBytes) {
        return datagram;
      }
      this.truncated++;
    }
  }

  receiveError(): UnderlayError | undefined {
    return this.#errors.shift();
  }
}
