import { assertEquals, assertThrows } from "@std/assert";
import * as fc from "fast-check";
import {
  type Attribute,
  decodeAttributes,
  decodeMessages,
  encodeAttributes,
  encodeMessage,
  nestedAttribute,
  type NetlinkMessage,
  readText,
  readU32,
  splitPayload,
  textAttribute,
  u32Attribute,
} from "../../../../linux/netlink/codec.ts";
import { BadNetlinkMessageError } from "../../../../linux/netlink/errors.ts";
import { fromHex, toHex } from "./hex.ts";

Deno.test("a message is length, type, flags, sequence, port and payload, padded to 4 bytes", () => {
  const bytes = encodeMessage({
    type: 0x1234,
    flags: 0x305,
    sequence: 0xa1b2c3d4,
    payload: fromHex("aa bb cc dd ee"),
  });
  assertEquals(
    toHex(bytes),
    "15 00 00 00 34 12 05 03 d4 c3 b2 a1 00 00 00 00 aa bb cc dd ee 00 00 00",
  );
});

Deno.test("a datagram is read message by message", () => {
  const datagram = fromHex(`
    15 00 00 00  18 00 02 00  07 00 00 00  39 30 00 00  01 02 03 04 05 00 00 00
    14 00 00 00  03 00 02 00  07 00 00 00  39 30 00 00  00 00 00 00`);
  assertEquals([...decodeMessages(datagram)], [
    { type: 24, flags: 2, sequence: 7, payload: fromHex("01 02 03 04 05") },
    { type: 3, flags: 2, sequence: 7, payload: fromHex("00 00 00 00") },
  ]);
});

Deno.test("a datagram's last message may lack its padding", () => {
  const datagram = fromHex(
    "11 00 00 00 01 00 00 00 01 00 00 00 00 00 00 00 ff",
  );
  assertEquals([...decodeMessages(datagram)].length, 1);
});

Deno.test("a message whose length does not fit is refused", () => {
  for (
    const datagram of [
      "10 00 00 00 01 00 00 00 01 00 00 00 00 00 00",
      "0f 00 00 00 01 00 00 00 01 00 00 00 00 00 00 00",
      "00 00 00 00 01 00 00 00 01 00 00 00 00 00 00 00",
      "14 00 00 00 01 00 00 00 01 00 00 00 00 00 00 00",
      "ff ff ff ff 01 00 00 00 01 00 00 00 00 00 00 00",
      "01",
    ]
  ) {
    assertThrows(
      () => [...decodeMessages(fromHex(datagram))],
      BadNetlinkMessageError,
      "Cannot read a netlink message",
      datagram,
    );
  }
});

Deno.test("attributes are length, type and value, each padded to 4 bytes", () => {
  const bytes = encodeAttributes([
    u32Attribute(4, 1472),
    textAttribute(20, "loden"),
    { type: 7, value: fromHex("") },
    nestedAttribute(18, [textAttribute(1, "tun")]),
  ]);
  assertEquals(
    toHex(bytes),
    "08 00 04 00 c0 05 00 00 " +
      "09 00 14 00 6c 6f 64 65 6e 00 00 00 " +
      "04 00 07 00 " +
      "0c 00 12 80 07 00 01 00 74 75 6e 00",
  );
});

Deno.test("attributes are read by type without their flags, the last of equals", () => {
  const attributes = decodeAttributes(fromHex(`
    08 00 04 00 c0 05 00 00
    0c 00 12 80 07 00 01 00 74 75 6e 00
    08 00 04 40 dc 05 00 00
    00 00`));
  assertEquals([...attributes.keys()], [4, 18]);
  assertEquals(readU32(attributes.get(4)!), 1500);
  assertEquals(readText(decodeAttributes(attributes.get(18)!).get(1)!), "tun");
});

Deno.test("an attribute whose length does not fit is refused", () => {
  for (
    const bytes of ["03 00 01 00", "00 00 01 00", "09 00 01 00 00 00 00 00"]
  ) {
    assertThrows(
      () => decodeAttributes(fromHex(bytes)),
      BadNetlinkMessageError,
      "attribute's length",
      bytes,
    );
  }
});

Deno.test("an attribute that is longer than its length field can say is refused", () => {
  const value = new Uint8Array(0xffff - 4);
  assertEquals(
    decodeAttributes(encodeAttributes([{ type: 1, value }])).size,
    1,
  );
  assertThrows(
    () => encodeAttributes([{ type: 1, value: new Uint8Array(0xffff - 3) }]),
    BadNetlinkMessageError,
    "65531 bytes or less",
  );
});

Deno.test("text ends at its NUL or with its attribute", () => {
  assertEquals(readText(fromHex("65 74 68 30 00")), "eth0");
  assertEquals(readText(fromHex("65 74 68 30")), "eth0");
  assertEquals(readText(fromHex("")), "");
});

Deno.test("numbers and headers that are too short are refused", () => {
  assertThrows(() => readU32(fromHex("01 02 03")), BadNetlinkMessageError);
  assertThrows(
    () => splitPayload(new Uint8Array(11), 12),
    BadNetlinkMessageError,
    "12 bytes or more",
  );
});

Deno.test("any messages come back as they were", () => {
  const message = fc.record({
    type: fc.integer({ min: 0, max: 0xffff }),
    flags: fc.integer({ min: 0, max: 0xffff }),
    sequence: fc.integer({ min: 0, max: 0xffff_ffff }),
    payload: fc.uint8Array({ maxLength: 40 }),
  });
  fc.assert(
    fc.property(fc.array(message), (messages: NetlinkMessage[]) => {
      const datagram = messages.map(encodeMessage)
        .reduce(
          (all, bytes) => Uint8Array.of(...all, ...bytes),
          new Uint8Array(),
        );
      assertEquals([...decodeMessages(datagram)], messages);
    }),
  );
});

Deno.test("any attributes come back as they were", () => {
  const attribute = fc.record({
    type: fc.integer({ min: 0, max: 0x3fff }),
    value: fc.uint8Array({ maxLength: 40 }),
  });
  const attributes = fc.uniqueArray(attribute, {
    selector: ({ type }: Attribute) => type,
  });
  fc.assert(
    fc.property(attributes, (attributes: Attribute[]) => {
      assertEquals(
        decodeAttributes(encodeAttributes(attributes)),
        new Map(attributes.map(({ type, value }) => [type, value])),
      );
    }),
  );
});

Deno.test("any bytes are read or refused, in bounded time", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes: Uint8Array) => {
      for (const read of [decodeAttributes, readAll]) {
        try {
          read(bytes);
        } catch (error) {
          if (!(error instanceof BadNetlinkMessageError)) throw error;
        }
      }
    }),
  );
});

function readAll(bytes: Uint8Array): NetlinkMessage[] {
  return [...decodeMessages(bytes)];
}
