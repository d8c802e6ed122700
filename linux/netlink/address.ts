/**
 * Messages about IPv4 addresses of devices (`RTM_*ADDR`): `struct ifaddrmsg` and
 * `IFA_*` attributes.
 *
 * Source: `linux/if_addr.h`.
 *
 * @module
 */

import { type Ipv4, ipv4FromBytes, ipv4ToBytes } from "../../net/ipv4.ts";
import { joinPayload, readU32, splitPayload } from "./codec.ts";
import { BadNetlinkMessageError } from "./errors.ts";
import { AF_INET, type NetlinkRequest } from "./request.ts";
import type { LinkAddress } from "./rtnetlink.ts";
import { scopeOf } from "./route.ts";

const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;

/** family, prefix length, flags, scope (u8 each), index (u32). */
const IFADDRMSG_BYTES = 8;

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_FLAGS = 8;

const IFA_F_SECONDARY = 0x01;
const IFA_F_DEPRECATED = 0x20;
const IFA_F_PERMANENT = 0x80;

/** An address and the length of the network that it lies in. */
export interface AddressWithPrefix {
  readonly address: Ipv4;
  readonly prefixLength: number;
}

function addressPayload(
  interfaceIndex: number,
  { address, prefixLength }: AddressWithPrefix,
): Uint8Array {
  const header = addressHeader(prefixLength, interfaceIndex);
  // Local and peer address differ on point-to-point devices only.
  const value = ipv4ToBytes(address);
  return joinPayload(header, [
    { type: IFA_LOCAL, value },
    { type: IFA_ADDRESS, value },
  ]);
}

function addressHeader(
  prefixLength: number,
  interfaceIndex: number,
): Uint8Array {
  const header = new Uint8Array(IFADDRMSG_BYTES);
  header[0] = AF_INET;
  header[1] = prefixLength;
  new DataView(header.buffer).setUint32(4, interfaceIndex, true);
  return header;
}

/** Asks for every IPv4 address. */
export function listAddressesRequest(): NetlinkRequest {
  return { type: RTM_GETADDR, flags: 0, payload: addressHeader(0, 0) };
}

/** Asks for a new address of global scope. */
export function addAddressRequest(
  interfaceIndex: number,
  address: AddressWithPrefix,
  flags: number,
): NetlinkRequest {
  return {
    type: RTM_NEWADDR,
    flags,
    payload: addressPayload(interfaceIndex, address),
  };
}

/** Asks for the end of an address. */
export function deleteAddressRequest(
  interfaceIndex: number,
  address: AddressWithPrefix,
): NetlinkRequest {
  return {
    type: RTM_DELADDR,
    flags: 0,
    payload: addressPayload(interfaceIndex, address),
  };
}

/** Reads the payload of an `RTM_NEWADDR`. */
export function parseAddress(payload: Uint8Array): LinkAddress {
  const { header, attributes } = splitPayload(payload, IFADDRMSG_BYTES);
  // IFA_ADDRESS is the far end's on a point-to-point device.
  const local = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
  if (local?.length !== 4) {
    throw new BadNetlinkMessageError(
      "an IPv4 address must have 4 bytes",
      local?.length ?? "no address",
    );
  }
  const flagsAttribute = attributes.get(IFA_FLAGS);
  const flags = flagsAttribute === undefined
    ? header.getUint8(2)
    : readU32(flagsAttribute);
  return {
    interfaceIndex: header.getUint32(4, true),
    address: ipv4FromBytes(local),
    prefixLength: header.getUint8(1),
    scope: scopeOf(header.getUint8(3)),
    permanent: (flags & IFA_F_PERMANENT) !== 0,
    deprecated: (flags & IFA_F_DEPRECATED) !== 0,
    secondary: (flags & IFA_F_SECONDARY) !== 0,
  };
}
