/**
 * Messages about a device's XDP hook: attribute `IFLA_XDP` of `RTM_*LINK`.
 *
 * Source: `linux/if_link.h`; `net/core/rtnetlink.c`, `rtnl_xdp_fill`.
 *
 * @module
 */

import {
  type Attribute,
  decodeAttributes,
  joinPayload,
  nestedAttribute,
  readU32,
  splitPayload,
  u32Attribute,
} from "./codec.ts";
import type { NetlinkRequest } from "./request.ts";

const RTM_GETLINK = 18;
const RTM_SETLINK = 19;
const IFINFOMSG_BYTES = 16;

const IFLA_XDP = 43;
const IFLA_XDP_FD = 1;
const IFLA_XDP_ATTACHED = 2;
const IFLA_XDP_FLAGS = 3;
const IFLA_XDP_PROG_ID = 4;
const IFLA_XDP_DRV_PROG_ID = 5;
const IFLA_XDP_SKB_PROG_ID = 6;
const IFLA_XDP_HW_PROG_ID = 7;
const IFLA_XDP_EXPECTED_FD = 8;

/** XDP_FLAGS_UPDATE_IF_NOEXIST, XDP_FLAGS_DRV_MODE, XDP_FLAGS_REPLACE. */
const ONLY_IF_NONE = 1 << 0;
const DRIVER_MODE = 1 << 2;
const REPLACE = 1 << 4;

/** The file descriptor that takes the program away. */
export const NO_PROGRAM = -1;

/** Modes by their numbers in IFLA_XDP_ATTACHED, the preferred first. */
const MODES = [
  { mode: "native", attached: 1, attribute: IFLA_XDP_DRV_PROG_ID },
  { mode: "generic", attached: 2, attribute: IFLA_XDP_SKB_PROG_ID },
  { mode: "offloaded", attached: 3, attribute: IFLA_XDP_HW_PROG_ID },
] as const;

/** The program at a device's XDP hook. */
export interface AttachedXdp {
  readonly id: number;
  readonly mode: (typeof MODES)[number]["mode"];
}

function linkHeader(interfaceIndex: number): Uint8Array {
  const header = new Uint8Array(IFINFOMSG_BYTES);
  new DataView(header.buffer).setInt32(4, interfaceIndex, true);
  return header;
}

/** Asks for one device; {@linkcode parseXdp} reads the answer. */
export function getXdpRequest(interfaceIndex: number): NetlinkRequest {
  return {
    type: RTM_GETLINK,
    flags: 0,
    payload: linkHeader(interfaceIndex),
  };
}

/**
 * Asks for a program in the driver, or for none ({@linkcode NO_PROGRAM}).
 *
 * @param expectedDescriptor The program that must be there now. Without, a
 * program is put only where there is none.
 */
export function setXdpRequest(
  interfaceIndex: number,
  descriptor: number,
  expectedDescriptor: number | undefined,
): NetlinkRequest {
  const flags = expectedDescriptor !== undefined
    ? DRIVER_MODE | REPLACE
    : descriptor === NO_PROGRAM
    ? DRIVER_MODE
    : DRIVER_MODE | ONLY_IF_NONE;
  const attributes: Attribute[] = [
    u32Attribute(IFLA_XDP_FD, descriptor),
    u32Attribute(IFLA_XDP_FLAGS, flags),
  ];
  if (expectedDescriptor !== undefined) {
    attributes.push(u32Attribute(IFLA_XDP_EXPECTED_FD, expectedDescriptor));
  }
  return {
    type: RTM_SETLINK,
    flags: 0,
    payload: joinPayload(linkHeader(interfaceIndex), [
      nestedAttribute(IFLA_XDP, attributes),
    ]),
  };
}

/** Reads an `RTM_NEWLINK`; `undefined` when the hook is free. */
export function parseXdp(payload: Uint8Array): AttachedXdp | undefined {
  const xdp = splitPayload(payload, IFINFOMSG_BYTES).attributes.get(IFLA_XDP);
  if (xdp === undefined) return undefined;
  const attributes = decodeAttributes(xdp);
  for (const { mode, attribute } of MODES) {
    const id = attributes.get(attribute);
    if (id !== undefined) return { id: readU32(id), mode };
  }
  // Before Linux 5.0 there is one id for whichever mode.
  const id = attributes.get(IFLA_XDP_PROG_ID);
  const attached = attributes.get(IFLA_XDP_ATTACHED)?.[0];
  const mode = MODES.find((candidate) => candidate.attached === attached)?.mode;
  return id === undefined || mode === undefined
    ? undefined
    : { id: readU32(id), mode };
}
