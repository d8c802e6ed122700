/**
 * A blocking UDP socket between two fixed ends, for programs whose every
 * datagram counts: it has room for them and tells the kernel how to cut.
 *
 * @module
 */

import { ERRNO, SystemCallError } from "../../linux/errno.ts";
import { addressOf, checked, errno, libc } from "../../linux/libc.ts";
import { AF_INET, SOCK_DGRAM, socketAddress } from "./socket_address.ts";

/** asm-generic/socket.h, linux/udp.h. */
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SO_RCVBUFFORCE = 33;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
const BUFFER_BYTES = 64 * 1024 * 1024;

/** Both ends, the own one first. */
export interface DatagramEnds {
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/** See the module's text. It lives as long as the program. */
export class DatagramSocket {
  readonly #descriptor: number;
  readonly #buffer = new Uint8Array(65_536);
  readonly #bufferAddress = addressOf(this.#buffer);

  /** Throws {@linkcode SystemCallError}. */
  constructor({ localPort, remoteAddress, remotePort }: DatagramEnds) {
    const c = libc();
    this.#descriptor = checked(
      c.socket(AF_INET, SOCK_DGRAM, 0),
      "make a socket",
    );
    const local = socketAddress("0.0.0.0", localPort);
    const remote = socketAddress(remoteAddress, remotePort);
    checked(
      c.bind(this.#descriptor, addressOf(local), local.length),
      `bind port ${localPort}`,
    );
    checked(
      c.connect(this.#descriptor, addressOf(remote), remote.length),
      `connect to ${remoteAddress}`,
    );
    this.#set(SOL_SOCKET, SO_RCVBUFFORCE, new Int32Array([BUFFER_BYTES]));
  }

  /** Sends the bytes, cut by the kernel into pieces; 0: not cut. */
  send(bytes: Uint8Array, pieceBytes = 0): void {
    this.#set(SOL_UDP, UDP_SEGMENT, new Int32Array([pieceBytes]));
    checked(
      libc().sendto(
        this.#descriptor,
        addressOf(bytes),
        bytes.length,
        0,
        0,
        0,
      ),
      `send ${bytes.length} bytes in pieces of ${pieceBytes}`,
    );
  }

  /** The next datagram, valid until the next call; `undefined` when it is late. */
  receive(timeoutMs: number): Uint8Array | undefined {
    const timeout = new BigInt64Array([
      BigInt(Math.floor(timeoutMs / 1_000)),
      BigInt(timeoutMs % 1_000 * 1_000),
    ]);
    this.#set(SOL_SOCKET, SO_RCVTIMEO, timeout);
    const length = libc().recv(
      this.#descriptor,
      this.#bufferAddress,
      this.#buffer.length,
      0,
    );
    if (length >= 0) return this.#buffer.subarray(0, length);
    const number = errno();
    if (number === ERRNO.EAGAIN) return undefined;
    throw new SystemCallError("receive", number);
  }

  #set(level: number, option: number, value: ArrayBufferView): void {
    checked(
      libc().setsockopt(
        this.#descriptor,
        level,
        option,
        addressOf(value),
        value.byteLength,
      ),
      `set option ${option}`,
    );
  }
}
