/**
 * Sends datagrams to a unix socket.
 *
 * Deno supports them only with an unstable flag, which a drop-in replacement
 * cannot require.
 *
 * @module
 */

import { addressOf, checked, libc } from "./libc.ts";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDTIMEO = 21;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** sun_path of `struct sockaddr_un`, linux/un.h. */
const PATH_BYTES = 108;

/**
 * Sends one datagram. `address` is a path, or `@name` for the abstract name
 * space (unix(7)). Waits at most `timeoutMilliseconds` for a receiver whose
 * queue is full; with 0 it does not wait. Nothing else happens meanwhile.
 *
 * @throws {SystemCallError} if no process listens or reads there, and
 * {RangeError} for an invalid address of a unix socket.
 */
export function sendUnixDatagram(
  address: string,
  bytes: Uint8Array<ArrayBuffer>,
  timeoutMilliseconds: number,
): void {
  const socketAddress = encodeSocketAddress(address);
  const what = `send to the socket ${address}`;
  const socket = checked(
    libc().socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0),
    what,
  );
  try {
    // struct timeval: two longs, which are eight bytes on 64-bit machines.
    const timeout = BigInt64Array.of(
      BigInt(Math.floor(timeoutMilliseconds / 1000)),
      BigInt((timeoutMilliseconds % 1000) * 1000),
    );
    checked(
      libc().setsockopt(
        socket,
        SOL_SOCKET,
        SO_SNDTIMEO,
        addressOf(timeout),
        timeout.byteLength,
      ),
      what,
    );
    checked(
      libc().sendto(
        socket,
        addressOf(bytes),
        bytes.byteLength,
        // A timeout of 0 would be none.
        timeoutMilliseconds === 0 ? MSG_NOSIGNAL | MSG_DONTWAIT : MSG_NOSIGNAL,
        addressOf(socketAddress),
        socketAddress.byteLength,
      ),
      what,
    );
  } finally {
    libc().close(socket);
  }
}

/** `struct sockaddr_un` up to the end of the name; the family is host order. */
export function encodeSocketAddress(address: string): Uint8Array<ArrayBuffer> {
  const name = new TextEncoder().encode(address);
  const abstract = address.startsWith("@");
  if (!abstract && !address.startsWith("/")) {
    throw new RangeError(
      `a unix socket must be an absolute path or begin with @: ` +
        `current value is ${JSON.stringify(address)}`,
    );
  }
  // A path ends with a NUL that counts; an abstract name has its own length.
  const length = abstract ? name.length : name.length + 1;
  if (length > PATH_BYTES) {
    throw new RangeError(
      `a unix socket's name must have at most ${PATH_BYTES} bytes: ` +
        `current length is ${length}`,
    );
  }
  const bytes = new Uint8Array(2 + length);
  new Uint16Array(bytes.buffer, 0, 1)[0] = AF_UNIX;
  bytes.set(name, 2);
  if (abstract) bytes[2] = 0;
  return bytes;
}
