/**
 * The unix sockets of this network namespace with names in the abstract space.
 *
 * Source: `linux/unix_diag.h`, `net/unix/af_unix.c` (`/proc/net/unix`).
 *
 * @module
 */

import { readU32, splitPayload } from "./netlink/codec.ts";
import { NetlinkClient } from "./netlink/netlink_client.ts";
import { NETLINK, NetlinkSocket } from "./netlink/netlink_socket.ts";

/** One socket. */
export interface AbstractSocket {
  /** Without the NUL at its beginning. */
  readonly name: string;
  readonly inode: number;
  /**
   * The user that made it, as this process's user namespace counts; `undefined`
   * where the kernel does not say (before 5.3, or without `unix_diag`).
   */
  readonly uid: number | undefined;
}

const SOCK_DIAG_BY_FAMILY = 20;
const AF_UNIX = 1;
const ALL_STATES = 0xffffffff;
const UDIAG_SHOW_NAME = 0x01;
const UDIAG_SHOW_UID = 0x40;
const UNIX_DIAG_NAME = 0;
const UNIX_DIAG_UID = 7;
/** struct unix_diag_req and struct unix_diag_msg. */
const REQUEST_BYTES = 24;
const MESSAGE_BYTES = 16;
const INODE_OFFSET = 4;
const RECEIVE_BYTES = 64 * 1024;

/**
 * All of them. Without the kernel's `unix_diag` they are read from
 * `/proc/net/unix`, without their users; there a line feed in a name looks like
 * another socket.
 */
export function abstractSockets(): AbstractSocket[] {
  let messages: Uint8Array[];
  try {
    messages = listUnixSockets();
  } catch {
    // A kernel without the module, or one that may not load it.
    return parseProcNetUnix(Deno.readTextFileSync("/proc/net/unix"));
  }
  return messages.flatMap((message) => decodeSocket(message) ?? []);
}

/** The lines with an abstract name; the kernel shows its NUL bytes as `@`. */
export function parseProcNetUnix(text: string): AbstractSocket[] {
  return text.split("\n").flatMap((line) => {
    const match = /^(?:\S+ +){6}([0-9]+) @(.*)$/.exec(line.trimStart());
    return match === null
      ? []
      : [{ name: match[2]!, inode: Number(match[1]), uid: undefined }];
  });
}

function listUnixSockets(): Uint8Array[] {
  const payload = new Uint8Array(REQUEST_BYTES);
  const view = new DataView(payload.buffer);
  view.setUint8(0, AF_UNIX);
  view.setUint32(4, ALL_STATES, true);
  view.setUint32(12, UDIAG_SHOW_NAME | UDIAG_SHOW_UID, true);
  const socket = new NetlinkSocket(RECEIVE_BYTES, NETLINK.SOCK_DIAG);
  using client = new NetlinkClient(socket);
  return client.list("list the unix sockets", {
    type: SOCK_DIAG_BY_FAMILY,
    flags: 0,
    payload,
  });
}

function decodeSocket(message: Uint8Array): AbstractSocket | undefined {
  const { header, attributes } = splitPayload(message, MESSAGE_BYTES);
  const name = attributes.get(UNIX_DIAG_NAME);
  if (name === undefined || name[0] !== 0) return undefined;
  const uid = attributes.get(UNIX_DIAG_UID);
  return {
    name: new TextDecoder().decode(name.subarray(1)),
    inode: header.getUint32(INODE_OFFSET, true),
    uid: uid && readU32(uid),
  };
}
