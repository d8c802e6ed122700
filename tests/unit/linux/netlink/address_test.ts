import { assertEquals, assertThrows } from "@std/assert";
import {
  addAddressRequest,
  deleteAddressRequest,
  listAddressesRequest,
  parseAddress,
} from "../../../../linux/netlink/address.ts";
import { BadNetlinkMessageError } from "../../../../linux/netlink/errors.ts";
import { parseIpv4 } from "../../../../net/ipv4.ts";
import { fromHex, toHex } from "./hex.ts";

const ADDRESS = { address: parseIpv4("10.1.27.0")!, prefixLength: 32 };

Deno.test("all addresses are asked for by the IPv4 family", () => {
  const { type, flags, payload } = listAddressesRequest();
  assertEquals(
    [type, flags, toHex(payload)],
    [22, 0, "02 00 00 00 00 00 00 00"],
  );
});

Deno.test("a new address is named as the local and as the far one", () => {
  const { type, flags, payload } = addAddressRequest(3, ADDRESS, 0x600);
  assertEquals([type, flags], [20, 0x600]);
  assertEquals(
    toHex(payload),
    "02 20 00 00 03 00 00 00 08 00 02 00 0a 01 1b 00 08 00 01 00 0a 01 1b 00",
  );
});

Deno.test("a removal has the bytes of the addition", () => {
  const { type, flags, payload } = deleteAddressRequest(3, ADDRESS);
  assertEquals([type, flags], [21, 0]);
  assertEquals(payload, addAddressRequest(3, ADDRESS, 0).payload);
});

Deno.test("an address is read as Linux 6.18 sent it", () => {
  assertEquals(
    parseAddress(fromHex(`02 18 80 00 02 00 00 00
      08 00 01 00 0a 09 00 01  08 00 02 00 0a 09 00 01
      08 00 03 00 62 72 37 00  08 00 08 00 80 00 00 00
      14 00 06 00 ff ff ff ff ff ff ff ff 08 41 02 00 08 41 02 00`)),
    {
      interfaceIndex: 2,
      address: parseIpv4("10.9.0.1")!,
      prefixLength: 24,
      scope: "global",
      permanent: true,
      deprecated: false,
      secondary: false,
    },
  );
});

Deno.test("a point-to-point device's own address is read, not the far one", () => {
  assertEquals(
    parseAddress(fromHex(`02 20 20 00 02 00 00 00
      08 00 01 00 0a 09 00 08  08 00 02 00 0a 09 00 09
      08 00 03 00 62 72 37 00  08 00 08 00 20 00 00 00
      14 00 06 00 00 00 00 00 2c 01 00 00 08 41 02 00 08 41 02 00`)),
    {
      interfaceIndex: 2,
      address: parseIpv4("10.9.0.9")!,
      prefixLength: 32,
      scope: "global",
      permanent: false,
      deprecated: true,
      secondary: false,
    },
  );
});

Deno.test("scopes are read by name, or by number where they have none", () => {
  const scopeOf = (byte: string) =>
    parseAddress(
      fromHex(`02 08 80 ${byte} 01 00 00 00 08 00 02 00 7f 00 00 01`),
    ).scope;
  assertEquals(
    ["00", "c8", "fd", "fe", "ff", "64"].map(scopeOf),
    ["global", "site", "link", "host", "nowhere", 100],
  );
});

Deno.test("flags are read from the header when there is no attribute for them", () => {
  const address = parseAddress(
    fromHex("02 08 81 fe 01 00 00 00 08 00 01 00 7f 00 00 01"),
  );
  assertEquals([address.permanent, address.secondary], [true, true]);
});

Deno.test("an address message without an IPv4 address is refused", () => {
  for (const attribute of ["", "06 00 02 00 0a 01 00 00"]) {
    assertThrows(
      () => parseAddress(fromHex(`02 08 80 fe 01 00 00 00 ${attribute}`)),
      BadNetlinkMessageError,
      "must have 4 bytes",
    );
  }
});
