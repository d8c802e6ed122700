import { assertEquals, assertThrows } from "@std/assert";
import { formatMac } from "../../../../net/mac.ts";
import { BadNetlinkMessageError } from "../../../../linux/netlink/errors.ts";
import {
  listLinksRequest,
  parseLink,
  removeLinkRequest,
  setLinkRequest,
} from "../../../../linux/netlink/link.ts";
import { fromHex, toHex } from "./hex.ts";

/** `struct ifinfomsg` of device 7, up, an Ethernet device. */
const HEADER = "00 00 01 00 07 00 00 00 43 10 01 00 00 00 00 00";

Deno.test("all devices are asked for by an empty ifinfomsg", () => {
  const { type, flags, payload } = listLinksRequest();
  assertEquals([type, flags, payload], [18, 0, new Uint8Array(16)]);
});

Deno.test("a change names the device, the flags to change and what is new", () => {
  const { type, payload } = setLinkRequest(7, {
    up: true,
    mtuBytes: 1472,
    alias: "loden",
    txQueueLength: 1000,
  });
  assertEquals(type, 19);
  assertEquals(
    toHex(payload),
    "00 00 00 00 07 00 00 00 01 00 00 00 01 00 00 00 " +
      "08 00 04 00 c0 05 00 00 " +
      "09 00 14 00 6c 6f 64 65 6e 00 00 00 " +
      "08 00 0d 00 e8 03 00 00",
  );
});

Deno.test("a change to down has IFF_UP in its mask only", () => {
  assertEquals(
    toHex(setLinkRequest(7, { up: false }).payload),
    "00 00 00 00 07 00 00 00 00 00 00 00 01 00 00 00",
  );
});

Deno.test("a change that does not name the state leaves the flags alone", () => {
  assertEquals(
    toHex(setLinkRequest(7, { alias: "" }).payload),
    "00 00 00 00 07 00 00 00 00 00 00 00 00 00 00 00 04 00 14 00",
  );
});

Deno.test("a removal names the device alone", () => {
  const { type, payload } = removeLinkRequest(0x01020304);
  assertEquals(type, 17);
  assertEquals(
    toHex(payload),
    "00 00 00 00 04 03 02 01 00 00 00 00 00 00 00 00",
  );
});

Deno.test("a device is read with all that is known of it", () => {
  const { mac, ...link } = parseLink(fromHex(`${HEADER}
    0a 00 03 00 76 65 74 68 30 00 00 00
    08 00 04 00 dc 05 00 00
    0a 00 01 00 02 fc 00 00 00 01 00 00
    10 00 12 00 09 00 01 00 76 65 74 68 00 00 00 00
    0a 00 14 00 6c 6f 64 65 6e 00 00 00
    c4 00 17 00
      01 00 00 00 00 00 00 00  02 00 00 00 00 00 00 00
      03 00 00 00 00 00 00 00  04 00 00 00 00 00 00 00
      05 00 00 00 00 00 00 00  06 00 00 00 00 00 00 00
      2a 00 00 00 01 00 00 00  08 00 00 00 00 00 00 00
      ${"00 ".repeat(128)}`));
  assertEquals(formatMac(mac), "02:fc:00:00:00:01");
  assertEquals(link, {
    index: 7,
    name: "veth0",
    mtuBytes: 1500,
    up: true,
    loopback: false,
    kind: "veth",
    alias: "loden",
    rxDropped: 0x1_0000_002a,
    txDropped: 8,
  });
});

Deno.test("a device is read when the kernel tells nothing but its header", () => {
  assertEquals(
    parseLink(fromHex("00 00 04 03 01 00 00 00 08 00 00 00 00 00 00 00")),
    {
      index: 1,
      name: "",
      mtuBytes: 0,
      up: false,
      loopback: true,
      mac: new Uint8Array(),
      kind: "",
      alias: "",
      rxDropped: 0,
      txDropped: 0,
    },
  );
});

Deno.test("a tunnel's IP address is no hardware address", () => {
  const link = parseLink(fromHex(`${HEADER} 08 00 01 00 c0 00 02 01`));
  assertEquals(link.mac.length, 0);
});

Deno.test("statistics of an older kernel that end early count nothing", () => {
  const link = parseLink(fromHex(`${HEADER} 34 00 17 00 ${"ff ".repeat(48)}`));
  assertEquals([link.rxDropped, link.txDropped], [0, 0]);
});

Deno.test("a device message that is too short is refused", () => {
  assertThrows(() => parseLink(new Uint8Array(15)), BadNetlinkMessageError);
});
