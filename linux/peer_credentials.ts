/**
 * The users that are connected to a unix socket of this process: SO_PEERCRED,
 * unix(7).
 *
 * `Deno.Conn` has no descriptor to ask about, so all descriptors of the process
 * are looked at. An answer is about all connections to a path together.
 *
 * @module
 */

import { addressOf, libc } from "./libc.ts";

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_ACCEPTCONN = 30;
const AF_UNIX = 1;
/** struct sockaddr_un: u16 family, then the path. */
const ADDRESS_BYTES = 110;
const FAMILY_BYTES = 2;
/** struct ucred: pid, uid, gid. */
const CREDENTIALS_BYTES = 12;
const UID_OFFSET = 4;

/**
 * The users of the processes that are connected to the socket at `path`, as this
 * process's user namespace counts, at the moment they connected.
 */
export function connectedUsers(path: string): number[] {
  return [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    const descriptor = Number(name);
    if (localPath(descriptor) !== path || isListening(descriptor)) return [];
    const credentials = option(descriptor, SO_PEERCRED, CREDENTIALS_BYTES);
    return credentials === undefined
      ? []
      : [credentials.getUint32(UID_OFFSET, true)];
  });
}

/** `undefined` of what is no unix socket, and of one without a path. */
function localPath(descriptor: number): string | undefined {
  const address = new Uint8Array(new ArrayBuffer(ADDRESS_BYTES));
  const length = new Uint32Array(new ArrayBuffer(4));
  length[0] = ADDRESS_BYTES;
  const result = libc().getsockname(
    descriptor,
    addressOf(address),
    addressOf(length),
  );
  if (result !== 0) return undefined;
  const family = new DataView(address.buffer).getUint16(0, true);
  if (family !== AF_UNIX || length[0]! <= FAMILY_BYTES) return undefined;
  const bytes = address.subarray(FAMILY_BYTES, length[0]);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

function isListening(descriptor: number): boolean {
  return option(descriptor, SO_ACCEPTCONN, 4)?.getUint32(0, true) === 1;
}

function option(
  descriptor: number,
  name: number,
  bytes: number,
): DataView | undefined {
  const value = new Uint8Array(new ArrayBuffer(bytes));
  const length = new Uint32Array(new ArrayBuffer(4));
  length[0] = bytes;
  const result = libc().getsockopt(
    descriptor,
    SOL_SOCKET,
    name,
    addressOf(value),
    addressOf(length),
  );
  return result === 0 && length[0] === bytes
    ? new DataView(value.buffer)
    : undefined;
}
