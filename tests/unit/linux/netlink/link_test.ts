import { assertEquals, assertThrows } from "@std/assert";
import { formatMac } from "../../../../net/mac.ts";
import { BadNetlinkMessageError } from "../../../../linux/netlink/errors.ts";
import {
  listLinksRequest,
  newVethPairRequest,
  noIpv6AddressRequest,
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
    name: "fl",
    arp: false,
    gsoMaxBytes: 65536,
  });
  assertEquals(type, 19);
  assertEquals(
    toHex(payload),
    "00 00 00 00 07 00 00 00 81 00 00 00 81 00 00 00 " +
      "08 00 04 00 c0 05 00 00 " +
      "09 00 14 00 6c 6f 64 65 6e 00 00 00 " +
      "06 00 03 00 66 6c 00 00 " +
      "08 00 29 00 00 00 01 00",
  );
});

Deno.test("a change to ARP has IFF_NOARP in its mask only", () => {
  assertEquals(
    toHex(setLinkRequest(7, { arp: true }).payload),
    "00 00 00 00 07 00 00 00 00 00 00 00 80 00 00 00",
  );
});

Deno.test("a pair is two devices, the second one inside the first's type", () => {
  const { type, flags, payload } = newVethPairRequest({
    name: "f0",
    peerName: "f0p",
    mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
    peerMac: Uint8Array.of(2, 0, 0, 0, 0, 2),
    mtuBytes: 1472,
    peerMtuBytes: 65535,
  });
  assertEquals([type, flags], [16, 0x600]);
  assertEquals(
    toHex(payload),
    "00 00 00 00 00 00 00 00 80 00 00 00 80 00 00 00 " +
      "06 00 03 00 66 30 00 00 " +
      "0a 00 01 00 02 00 00 00 00 01 00 00 " +
      "08 00 04 00 c0 05 00 00 " +
      "40 00 12 80 " +
      "08 00 01 00 76 65 74 68 " +
      "34 00 02 80 30 00 01 00 " +
      "00 00 00 00 00 00 00 00 80 00 00 00 80 00 00 00 " +
      "07 00 03 00 66 30 70 00 " +
      "0a 00 01 00 02 00 00 00 00 02 00 00 " +
      "08 00 04 00 ff ff 00 00",
  );
});

Deno.test("the end of IPv6 addresses names the device and the mode", () => {
  const { type, payload } = noIpv6AddressRequest(7);
  assertEquals(type, 19);
  assertEquals(
    toHex(payload),
    "00 00 00 00 07 00 00 00 00 00 00 00 00 00 00 00 " +
      "10 00 1a 80 0c 00 0a 80 05 00 08 00 01 00 00 00",
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
    08 00 05 00 06 00 00 00  05 00 10 00 06 00 00 00
    08 00 29 00 00 00 02 00  08 00 3f 00 00 00 01 00
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
    carrier: true,
    operUp: true,
    loopback: false,
    noArp: false,
    kind: "veth",
    peerIndex: 6,
    gsoMaxBytes: 65536,
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
      carrier: false,
      operUp: false,
      loopback: true,
      noArp: false,
      mac: new Uint8Array(),
      kind: "",
      peerIndex: undefined,
      gsoMaxBytes: 0,
      alias: "",
      rxDropped: 0,
      txDropped: 0,
    },
  );
});

Deno.test("a device without neighbour addresses is told by its flag", () => {
  const { noArp } = parseLink(
    fromHex("00 00 01 00 07 00 00 00 c1 00 01 00 00 00 00 00"),
  );
  assertEquals(noArp, true);
});

Deno.test("the other end of a veth is unknown when it is gone or elsewhere", () => {
  const peerOf = (attributes: string) =>
    parseLink(fromHex(`${HEADER} ${attributes}`)).peerIndex;
  assertEquals(peerOf("08 00 05 00 00 00 00 00"), undefined);
  assertEquals(
    peerOf("08 00 05 00 06 00 00 00 08 00 25 00 00 00 00 00"),
    undefined,
  );
});

Deno.test("a port names the device that it is a port of", () => {
  const { masterIndex } = parseLink(
    fromHex(`${HEADER} 08 00 0a 00 05 00 00 00`),
  );
  assertEquals(masterIndex, 5);
});

Deno.test("a kernel before 6.3 has one limit of GSO for all protocols", () => {
  const { gsoMaxBytes } = parseLink(
    fromHex(`${HEADER} 08 00 29 00 00 00 01 00`),
  );
  assertEquals(gsoMaxBytes, 65536);
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
