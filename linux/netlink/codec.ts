/**
 * Netlink messages and their attributes as bytes.
 *
 * Netlink uses the byte order of the machine. Both supported architectures are
 * little endian (`linux/arch.ts`), so everything here is little endian and the
 * layouts are identical on x86-64 and arm64. Addresses inside attributes are in
 * network byte order, as everywhere.
 *
 * Source: `linux/netlink.h`, RFC 3549.
 *
 * @module
 */

import { BadNetlinkMessageError } from "./errors.ts";

/** Flags of a request, `NLM_F_*`. */
export const REQUEST_FLAG = {
  REQUEST: 0x1,
  ACK: 0x4,
  /** ROOT | MATCH: all that there is. */
  DUMP: 0x300,
  /** With `RTM_NEW…`: take the place of what is there. */
  REPLACE: 0x100,
  /** With `RTM_NEW…`: fail when it is there. */
  EXCLUSIVE: 0x200,
  /** With `RTM_NEW…`: make what is not there. */
  CREATE: 0x400,
} as const;

/** Flags of an answer. */
export const ANSWER_FLAG = {
  /** NLM_F_DUMP_INTR: the table changed while it was listed. */
  DUMP_INTERRUPTED: 0x10,
  /** NLM_F_CAPPED: of the refused request only the header is repeated. */
  CAPPED: 0x100,
  /** NLM_F_ACK_TLVS: attributes with an explanation follow. */
  ACK_ATTRIBUTES: 0x200,
} as const;

/** Message types that every family has, `NLMSG_*`. */
export const CONTROL = { NOOP: 1, ERROR: 2, DONE: 3, OVERRUN: 4 } as const;

/** NLM_HDRLEN: bytes of `struct nlmsghdr`. */
const HEADER_BYTES = 16;
/** Bytes of `struct nlattr`. */
const ATTRIBUTE_HEADER_BYTES = 4;
/** NLA_F_NESTED and NLA_F_NET_BYTEORDER: not part of the type. */
const ATTRIBUTE_TYPE_MASK = 0x3fff;
const NESTED = 0x8000;

/** One message. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  /** An answer carries the sequence number of its request. */
  readonly sequence: number;
  /** What follows the header, without padding. */
  readonly payload: Uint8Array;
}

/** One attribute: a type and its value's bytes. */
export interface Attribute {
  readonly type: number;
  readonly value: Uint8Array;
}

/** Netlink pads everything to 4 bytes. */
export function aligned(length: number): number {
  return (length + 3) & ~3;
}

/** A view of the same bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A message with the header in front; the sender's port is left to the kernel. */
export function encodeMessage(
  message: NetlinkMessage,
): Uint8Array<ArrayBuffer> {
  const length = HEADER_BYTES + message.payload.length;
  const bytes = new Uint8Array(aligned(length));
  const view = viewOf(bytes);
  view.setUint32(0, length, true);
  view.setUint16(4, message.type, true);
  view.setUint16(6, message.flags, true);
  view.setUint32(8, message.sequence, true);
  bytes.set(message.payload, HEADER_BYTES);
  return bytes;
}

/**
 * The messages of one datagram. Payloads are views into `bytes`.
 *
 * Throws {@linkcode BadNetlinkMessageError} when a length does not fit.
 */
export function* decodeMessages(bytes: Uint8Array): Generator<NetlinkMessage> {
  const view = viewOf(bytes);
  let offset = 0;
  while (offset < bytes.length) {
    const rest = bytes.length - offset;
    const length = rest < HEADER_BYTES ? rest : view.getUint32(offset, true);
    if (length < HEADER_BYTES || length > rest) {
      throw new BadNetlinkMessageError(
        `its length must be ${HEADER_BYTES} to the ${rest} bytes that are left`,
        length,
      );
    }
    yield {
      type: view.getUint16(offset + 4, true),
      flags: view.getUint16(offset + 6, true),
      sequence: view.getUint32(offset + 8, true),
      payload: bytes.subarray(offset + HEADER_BYTES, offset + length),
    };
    offset += aligned(length);
  }
}

/** Attributes one after the other, each padded. */
export function encodeAttributes(attributes: readonly Attribute[]): Uint8Array {
  let total = 0;
  for (const { value } of attributes) {
    total += aligned(ATTRIBUTE_HEADER_BYTES + value.length);
  }
  const bytes = new Uint8Array(total);
  const view = viewOf(bytes);
  let offset = 0;
  for (const { type, value } of attributes) {
    const length = ATTRIBUTE_HEADER_BYTES + value.length;
    if (length > 0xffff) {
      throw new BadNetlinkMessageError(
        `an attribute must be ${0xffff - ATTRIBUTE_HEADER_BYTES} bytes or less`,
        value.length,
      );
    }
    view.setUint16(offset, length, true);
    view.setUint16(offset + 2, type, true);
    bytes.set(value, offset + ATTRIBUTE_HEADER_BYTES);
    offset += aligned(length);
  }
  return bytes;
}

/**
 * Attributes by type; of several with one type the last counts, as in the
 * kernel's `nla_parse`. Values are views into `bytes`.
 *
 * Throws {@linkcode BadNetlinkMessageError} when a length does not fit.
 */
export function decodeAttributes(bytes: Uint8Array): Map<number, Uint8Array> {
  const attributes = new Map<number, Uint8Array>();
  eachAttribute(bytes, (type, value) => void attributes.set(type, value));
  return attributes;
}

/**
 * Attributes in their order, for lists whose elements all have one type. Values
 * are views into `bytes`.
 *
 * Throws {@linkcode BadNetlinkMessageError} when a length does not fit.
 */
export function decodeAttributeList(bytes: Uint8Array): Attribute[] {
  const attributes: Attribute[] = [];
  eachAttribute(
    bytes,
    (type, value) => void attributes.push({ type, value }),
  );
  return attributes;
}

function eachAttribute(
  bytes: Uint8Array,
  visit: (type: number, value: Uint8Array) => void,
): void {
  scanAttributes(
    viewOf(bytes),
    0,
    (type, at, length) => visit(type, bytes.subarray(at, at + length)),
  );
}

/**
 * Shows where the value of each attribute is, from `offset` to the end. Reading
 * numbers there takes a quarter of the time of views into the bytes, which counts in
 * a list of 10,000 routes.
 *
 * Throws {@linkcode BadNetlinkMessageError} when a length does not fit.
 */
export function scanAttributes(
  view: DataView,
  offset: number,
  visit: (type: number, at: number, length: number) => void,
): void {
  // Fewer bytes than a header are padding.
  while (view.byteLength - offset >= ATTRIBUTE_HEADER_BYTES) {
    const rest = view.byteLength - offset;
    const length = view.getUint16(offset, true);
    if (length < ATTRIBUTE_HEADER_BYTES || length > rest) {
      throw new BadNetlinkMessageError(
        `an attribute's length must be ${ATTRIBUTE_HEADER_BYTES} to the ${rest} bytes that are left`,
        length,
      );
    }
    visit(
      view.getUint16(offset + 2, true) & ATTRIBUTE_TYPE_MASK,
      offset + ATTRIBUTE_HEADER_BYTES,
      length - ATTRIBUTE_HEADER_BYTES,
    );
    offset += aligned(length);
  }
}

/** An attribute that holds a 32-bit number in the machine's byte order. */
export function u32Attribute(type: number, number: number): Attribute {
  const value = new Uint8Array(4);
  viewOf(value).setUint32(0, number, true);
  return { type, value };
}

/** An attribute that holds a 16-bit number in the machine's byte order. */
export function u16Attribute(type: number, number: number): Attribute {
  const value = new Uint8Array(2);
  viewOf(value).setUint16(0, number, true);
  return { type, value };
}

/** An attribute that holds one byte. */
export function u8Attribute(type: number, number: number): Attribute {
  return { type, value: Uint8Array.of(number) };
}

/** An attribute that holds text, without a NUL at its end. */
export function textAttribute(type: number, text: string): Attribute {
  return { type, value: new TextEncoder().encode(text) };
}

/** An attribute that holds attributes. */
export function nestedAttribute(
  type: number,
  attributes: readonly Attribute[],
): Attribute {
  return { type: type | NESTED, value: encodeAttributes(attributes) };
}

/** A 32-bit number in the machine's byte order. */
export function readU32(value: Uint8Array): number {
  if (value.length < 4) {
    throw new BadNetlinkMessageError(
      "a 32-bit attribute must have 4 bytes",
      value.length,
    );
  }
  return viewOf(value).getUint32(0, true);
}

/** A 16-bit number in the machine's byte order. */
export function readU16(value: Uint8Array): number {
  if (value.length < 2) {
    throw new BadNetlinkMessageError(
      "a 16-bit attribute must have 2 bytes",
      value.length,
    );
  }
  return viewOf(value).getUint16(0, true);
}

/** Text, with or without a NUL at its end. */
export function readText(value: Uint8Array): string {
  const end = value.indexOf(0);
  return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
}

/** The first `length` bytes, the family's own header; the rest are attributes. */
export function splitPayload(
  payload: Uint8Array,
  length: number,
): { header: DataView; attributes: Map<number, Uint8Array> } {
  if (payload.length < length) {
    throw new BadNetlinkMessageError(
      `its payload must have ${length} bytes or more`,
      payload.length,
    );
  }
  return {
    header: viewOf(payload.subarray(0, length)),
    attributes: decodeAttributes(payload.subarray(length)),
  };
}

/** A family's header with attributes behind it. */
export function joinPayload(
  header: Uint8Array,
  attributes: readonly Attribute[],
): Uint8Array {
  const encoded = encodeAttributes(attributes);
  const payload = new Uint8Array(header.length + encoded.length);
  payload.set(header);
  payload.set(encoded, header.length);
  return payload;
}
