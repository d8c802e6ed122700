import { assertEquals } from "@std/assert";
import {
  ENCAPSULATED_BYTES,
  ETHERNET,
  INNER_IP,
  IPV4,
  macParts,
  networkHalf,
  networkWord,
  OUTER_BYTES,
  OUTER_IP,
  OUTER_UDP,
  SKB,
  UDP,
  XDP,
} from "../../../../../../backend/udp/ebpf/programs/layout.ts";

/** A little-endian machine's memory after it has stored 16 and 32 bits. */
const stored = {
  half(value: number): string {
    const bytes = new Uint8Array(2);
    new DataView(bytes.buffer).setUint16(0, value, true);
    return bytes.toHex();
  },
  word(value: number): string {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setInt32(0, value, true);
    return bytes.toHex();
  },
};

Deno.test("a word of the network is in memory as it is on the wire", () => {
  for (
    const [value, bytes] of [
      [0xc000_0201, "c0000201"],
      [0x0a01_0107, "0a010107"],
      [0xffff_ff00, "ffffff00"],
      [0x0000_0000, "00000000"],
      [0xffff_ffff, "ffffffff"],
      [0x8000_0000, "80000000"],
      [0x0000_0080, "00000080"],
      [0x0102_0304, "01020304"],
    ] as const
  ) assertEquals(stored.word(networkWord(value)), bytes);
});

Deno.test("a word is a number that an instruction can hold, of 32 bits with a sign", () => {
  for (const value of [0x0000_0080, 0xffff_ffff, 0x1234_56ff, 0x7f]) {
    const word = networkWord(value);
    assertEquals(word | 0, word);
  }
});

Deno.test("a half of the network is in memory as it is on the wire", () => {
  for (
    const [value, bytes] of [
      [8285, "205d"],
      [0x0800, "0800"],
      [0x3fff, "3fff"],
      [0xff00, "ff00"],
      [0x00ff, "00ff"],
    ] as const
  ) assertEquals(stored.half(networkHalf(value)), bytes);
});

Deno.test("a MAC address is compared in four bytes and two", () => {
  const mac = Uint8Array.of(9, 9, 0x82, 0x4c, 0xfe, 0x64, 0x65, 0x9e, 9);
  const [word, half] = macParts(mac.subarray(2, 8));
  assertEquals(word, 0x64fe4c82);
  assertEquals(half, 0x9e65);
});

Deno.test("the parts of a frame are where they are in one from the wire", () => {
  // Ethernet, IPv4, UDP, IPv4, UDP: RFC 894, RFC 791, RFC 768.
  const frame = Uint8Array.fromHex(
    "024c6f000001024c6f0000090800" +
      "4500003c000040004011b6adc0000202c0000201" +
      "205d205e00280000" +
      "45000020000000003e1165c00a0102050a010107" +
      "03e807d0000c0000",
  );
  const view = new DataView(frame.buffer);
  assertEquals(view.getUint8(ETHERNET.DESTINATION + 5), 1);
  assertEquals(view.getUint8(ETHERNET.SOURCE + 5), 9);
  assertEquals(view.getUint16(ETHERNET.TYPE), 0x0800);
  assertEquals(view.getUint8(OUTER_IP + IPV4.VERSION_AND_LENGTH), 0x45);
  assertEquals(view.getUint16(OUTER_IP + IPV4.TOTAL_LENGTH), 60);
  assertEquals(view.getUint16(OUTER_IP + IPV4.FRAGMENT), 0x4000);
  assertEquals(view.getUint8(OUTER_IP + IPV4.TTL), 64);
  assertEquals(view.getUint8(OUTER_IP + IPV4.PROTOCOL), 17);
  assertEquals(view.getUint16(OUTER_IP + IPV4.CHECKSUM), 0xb6ad);
  assertEquals(view.getUint32(OUTER_IP + IPV4.SOURCE), 0xc000_0202);
  assertEquals(view.getUint32(OUTER_IP + IPV4.DESTINATION), 0xc000_0201);
  assertEquals(view.getUint16(OUTER_UDP + UDP.SOURCE), 0x205d);
  assertEquals(view.getUint16(OUTER_UDP + UDP.DESTINATION), 0x205e);
  assertEquals(view.getUint16(OUTER_UDP + UDP.LENGTH), 40);
  assertEquals(view.getUint16(OUTER_UDP + UDP.CHECKSUM), 0);
  assertEquals(view.getUint8(INNER_IP + IPV4.TTL), 62);
  assertEquals(view.getUint32(INNER_IP + IPV4.SOURCE), 0x0a01_0205);
  assertEquals(OUTER_BYTES, INNER_IP - OUTER_IP);
  assertEquals(ENCAPSULATED_BYTES, frame.length - 8);
});

/** `struct __sk_buff` of `linux/bpf.h`, in order; 4 bytes each unless told. */
const SKB_FIELDS: readonly (string | readonly [string, number])[] = [
  "LENGTH",
  "PACKET_TYPE",
  "mark",
  "QUEUE_MAPPING",
  "PROTOCOL",
  "VLAN_PRESENT",
  "VLAN_TCI",
  "vlan_proto",
  "priority",
  "ingress_ifindex",
  "INTERFACE",
  "tc_index",
  ["cb", 20],
  "hash",
  "tc_classid",
  "DATA",
  "DATA_END",
  "napi_id",
  "family",
  "remote_ip4",
  "local_ip4",
  ["remote_ip6", 16],
  ["local_ip6", 16],
  "remote_port",
  "local_port",
  "DATA_META",
  ["flow_keys", 8],
  ["tstamp", 8],
  "wire_len",
  "GSO_SEGMENTS",
  ["sk", 8],
  "GSO_SIZE",
];

Deno.test("what programs read of a packet is where the kernel has it", () => {
  const offsets = new Map<string, number>();
  let at = 0;
  for (const field of SKB_FIELDS) {
    const [name, bytes] = typeof field === "string" ? [field, 4] : field;
    if (bytes === 8) at = (at + 7) & ~7;
    offsets.set(name, at);
    at += bytes;
  }
  for (const [name, offset] of Object.entries(SKB)) {
    assertEquals(offsets.get(name), offset, name);
  }
  assertEquals({ ...XDP }, {
    DATA: 0,
    DATA_END: 4,
    DATA_META: 8,
    INTERFACE: 12,
  });
});
