import { assertEquals } from "@std/assert";
import { formatIpv6, parseIpv6 } from "../../../net/ipv6.ts";

const FORMS: Readonly<Record<string, string>> = {
  "::": "::",
  "::1": "::1",
  "fe80::": "fe80::",
  "FE80:0:0:0:0042:c0ff:fea8:1": "fe80::42:c0ff:fea8:1",
  "2001:db8:0:1:0:0:0:1": "2001:db8:0:1::1",
  "2001:db8:0:0:1:0:0:1": "2001:db8::1:0:0:1",
  "1:2:3:4:5:6:7:8": "1:2:3:4:5:6:7:8",
  "1:0:3:4:5:6:7:8": "1:0:3:4:5:6:7:8",
  "::ffff:192.0.2.1": "::ffff:c000:201",
};

Deno.test("an IPv6 address is read in every form and written in the canonical one", () => {
  for (const [text, canonical] of Object.entries(FORMS)) {
    assertEquals(formatIpv6(parseIpv6(text)!), canonical, text);
  }
});

Deno.test("times, MAC addresses and broken addresses are no IPv6 addresses", () => {
  for (
    const text of [
      "",
      ":",
      "12:34:56",
      "02:42:ac:11:00:02",
      "1::2::3",
      "1:2:3:4:5:6:7:8:9",
      "1:2:3:4:5:6:7::8:9",
      "12345::",
      "g::",
      "::1.2.3",
    ]
  ) assertEquals(parseIpv6(text), undefined, text);
});
