/**
 * Offsets in a frame and in the context that the kernel passes to a program.
 *
 * ```text
 *  0         14                34         42               62
 *  ┌─────────┬─────────────────┬──────────┬────────────────┬─────────
 *  │Ethernet │ IPv4, underlay  │ UDP 8285 │ IPv4, overlay  │ payload
 *  └─────────┴─────────────────┴──────────┴────────────────┴─────────
 * ```
 *
 * Before encapsulation and after decapsulation the overlay's packet is at 14.
 *
 * Sources: RFC 791, RFC 768, RFC 792, `linux/if_ether.h`, `linux/bpf.h` (`struct
 * __sk_buff`, `struct xdp_md`).
 *
 * @module
 */

/** `struct ethhdr`. */
export const ETHERNET = {
  DESTINATION: 0,
  SOURCE: 6,
  TYPE: 12,
  BYTES: 14,
} as const;

/** `struct iphdr`, from its start. */
export const IPV4 = {
  VERSION_AND_LENGTH: 0,
  TOTAL_LENGTH: 2,
  ID: 4,
  FRAGMENT: 6,
  TTL: 8,
  PROTOCOL: 9,
  CHECKSUM: 10,
  SOURCE: 12,
  DESTINATION: 16,
  /** Of a header without options. */
  BYTES: 20,
  MOST_BYTES: 60,
} as const;

/** `struct udphdr`, from its start. */
export const UDP = {
  SOURCE: 0,
  DESTINATION: 2,
  LENGTH: 4,
  CHECKSUM: 6,
  BYTES: 8,
} as const;

/** `struct icmphdr`, from its start. */
export const ICMP = {
  TYPE: 0,
  CHECKSUM: 2,
  BYTES: 8,
  /** The type "destination unreachable", which includes path MTUs. */
  UNREACHABLE: 3,
} as const;

/** Offset of the underlay's IPv4 header. */
export const OUTER_IP = ETHERNET.BYTES;
export const OUTER_UDP = OUTER_IP + IPV4.BYTES;
/** Offset of the overlay's packet after the outer headers. */
export const INNER_IP = OUTER_UDP + UDP.BYTES;
/** Bytes that encapsulation adds. */
export const OUTER_BYTES = IPV4.BYTES + UDP.BYTES;
/** Bytes that a program must read of an encapsulated frame. */
export const ENCAPSULATED_BYTES = INNER_IP + IPV4.BYTES;

/** Version 4, no options. */
export const PLAIN_IPV4 = 0x45;
export const DONT_FRAGMENT = 0x4000;
/** More fragments, and the offset. */
export const FRAGMENT_MASK = 0x3fff;
export const ETHERTYPE_IPV4 = 0x0800;
export const PROTOCOL = { ICMP: 1, TCP: 6, UDP: 17 } as const;

/** `struct __sk_buff`. */
export const SKB = {
  LENGTH: 0,
  PACKET_TYPE: 4,
  QUEUE_MAPPING: 12,
  PROTOCOL: 16,
  VLAN_PRESENT: 20,
  VLAN_TCI: 24,
  INTERFACE: 40,
  DATA: 76,
  DATA_END: 80,
  DATA_META: 140,
  GSO_SEGMENTS: 164,
  GSO_SIZE: 176,
} as const;

/**
 * Bytes of `struct __sk_buff`. A test run that is given less has no room to return
 * the context, and fails with ENOSPC; an older kernel takes zeros beyond its own.
 */
export const SKB_BYTES = 192;

/** `struct xdp_md`. */
export const XDP = {
  DATA: 0,
  DATA_END: 4,
  DATA_META: 8,
  INTERFACE: 12,
} as const;

/** The VLAN's number in a tag; 0: the tag has a priority only. */
export const VLAN_ID_MASK = 0x0fff;

/** PACKET_HOST, `linux/if_packet.h`. */
export const PACKET_HOST = 0;

/**
 * Verdicts of tc programs, `linux/pkt_cls.h`. NEXT is "not mine": the next
 * program decides (TC_ACT_UNSPEC, TCX_NEXT).
 */
export const VERDICT = { NEXT: -1, PASS: 0, DROP: 2, REDIRECT: 7 } as const;

/** Verdicts of XDP programs, `enum xdp_action`. */
export const XDP_VERDICT = { DROP: 1, PASS: 2 } as const;

/**
 * A 32-bit value in network byte order, as a little-endian machine reads it.
 */
export function networkWord(value: number): number {
  return (((value & 0xff) << 24) | ((value & 0xff00) << 8) |
    ((value >>> 8) & 0xff00) | (value >>> 24)) | 0;
}

/** The same for 16 bits. */
export function networkHalf(value: number): number {
  return ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
}

/** A MAC address as such a machine reads its first four and its last two bytes. */
export function macParts(mac: Uint8Array): [word: number, half: number] {
  const view = new DataView(mac.buffer, mac.byteOffset, mac.byteLength);
  return [view.getUint32(0, true), view.getUint16(4, true)];
}
