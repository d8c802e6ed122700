/**
 * Generic netlink: families of messages that have names in place of numbers.
 *
 * Source: `linux/genetlink.h`, `net/netlink/genetlink.c`.
 *
 * @module
 */

import {
  type Attribute,
  joinPayload,
  readU16,
  splitPayload,
  textAttribute,
} from "./codec.ts";
import type { NetlinkClient } from "./netlink_client.ts";
import type { NetlinkRequest } from "./request.ts";

/** struct genlmsghdr: command (u8), version (u8), reserved (u16). */
const GENLMSGHDR_BYTES = 4;
/** The family of the controller, the only one with a fixed number. */
const GENL_ID_CTRL = 16;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;
const CTRL_VERSION = 1;

/** Which message of a family. */
export interface GenericCommand {
  /** The family's number, see {@linkcode findFamily}. */
  readonly family: number;
  readonly command: number;
  readonly version: number;
}

/** A request of a generic family. */
export function genericRequest(
  { command, family, version }: GenericCommand,
  attributes: readonly Attribute[],
): NetlinkRequest {
  const header = Uint8Array.of(command, version, 0, 0);
  return { type: family, flags: 0, payload: joinPayload(header, attributes) };
}

/** The attributes of an answer. */
export function parseGeneric(payload: Uint8Array): Map<number, Uint8Array> {
  return splitPayload(payload, GENLMSGHDR_BYTES).attributes;
}

/**
 * The family's number until its module is unloaded; the kernel loads a module that
 * is not there yet. Throws {@linkcode NetlinkError}: `ENOENT` for an unknown one.
 */
export function findFamily(client: NetlinkClient, name: string): number {
  const what = `find the netlink family ${name}`;
  const request = genericRequest({
    family: GENL_ID_CTRL,
    command: CTRL_CMD_GETFAMILY,
    version: CTRL_VERSION,
  }, [textAttribute(CTRL_ATTR_FAMILY_NAME, `${name}\0`)]);
  const [answer] = client.request(what, request);
  const id = answer && parseGeneric(answer).get(CTRL_ATTR_FAMILY_ID);
  if (id === undefined) throw new Error(`Cannot ${what}: it has no number`);
  return readU16(id);
}
