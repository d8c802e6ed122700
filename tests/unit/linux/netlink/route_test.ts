import { assertEquals, assertThrows } from "@std/assert";
import { BadNetlinkMessageError } from "../../../../linux/netlink/errors.ts";
import {
  deleteRouteRequest,
  listRoutesRequest,
  parseRoute,
  parseRouteAnswer,
  putRouteRequest,
  routeToRequest,
} from "../../../../linux/netlink/route.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { parseIpv4 } from "../../../../net/ipv4.ts";
import { fromHex, toHex } from "./hex.ts";

const ip = (text: string) => parseIpv4(text)!;
const net = (text: string) => parseCidr(text)!;

Deno.test("all routes are asked for by the IPv4 family", () => {
  const { type, flags, payload } = listRoutesRequest();
  assertEquals([type, flags], [26, 0]);
  assertEquals(toHex(payload), "02 00 00 00 00 00 00 00 00 00 00 00");
});

Deno.test("a look-up names one address with all of its bits", () => {
  const { type, flags, payload } = routeToRequest(ip("8.8.4.4"));
  assertEquals([type, flags], [26, 0]);
  assertEquals(
    toHex(payload),
    "02 20 00 00 00 00 00 00 00 00 00 00 08 00 01 00 08 08 04 04",
  );
});

Deno.test("a look-up can name a device and a mark", () => {
  const { payload } = routeToRequest(ip("8.8.4.4"), {
    interfaceIndex: 3,
    mark: 0x80000001,
  });
  assertEquals(
    toHex(payload).slice(36),
    "08 00 01 00 08 08 04 04 08 00 04 00 03 00 00 00 08 00 10 00 01 00 00 80",
  );
});

Deno.test("a plain route is global, of the boot protocol, in the main table", () => {
  const { type, flags, payload } = putRouteRequest({
    destination: net("10.1.0.0/16"),
    interfaceIndex: 3,
  });
  assertEquals([type, flags], [24, 0x500]);
  assertEquals(
    toHex(payload),
    "02 10 00 00 fe 03 00 01 00 00 00 00 " +
      "08 00 01 00 0a 01 00 00 08 00 04 00 03 00 00 00",
  );
});

Deno.test("a route with everything has each part in its place", () => {
  const { payload } = putRouteRequest({
    destination: net("10.1.5.0/24"),
    interfaceIndex: 3,
    gateway: ip("10.1.5.0"),
    preferredSource: ip("10.1.27.0"),
    metric: 0xfffffffe,
    scope: "link",
    onlink: true,
    mtuBytes: 1400,
  });
  assertEquals(
    toHex(payload),
    "02 18 00 00 fe 03 fd 01 04 00 00 00 " +
      "08 00 01 00 0a 01 05 00 08 00 04 00 03 00 00 00 " +
      "08 00 05 00 0a 01 05 00 08 00 07 00 0a 01 1b 00 " +
      "08 00 06 00 fe ff ff ff 0c 00 08 80 08 00 02 00 78 05 00 00",
  );
});

Deno.test("routes that go nowhere have their type and no device", () => {
  const typeByte = (type: "unreachable" | "blackhole") =>
    putRouteRequest({ destination: net("10.1.0.0/16"), type }).payload[7];
  assertEquals([typeByte("blackhole"), typeByte("unreachable")], [6, 7]);
});

Deno.test("a removal leaves scope and protocol open unless the scope is named", () => {
  const destination = net("10.1.0.0/16");
  const { type, flags, payload } = deleteRouteRequest({ destination });
  assertEquals([type, flags], [25, 0]);
  assertEquals(
    toHex(payload),
    "02 10 00 00 fe 00 ff 01 00 00 00 00 08 00 01 00 0a 01 00 00",
  );
  assertEquals(
    deleteRouteRequest({ destination, scope: "global" }).payload[6],
    0,
  );
});

// As Linux 6.18 sent them.
const DEFAULT_ROUTE = `02 00 00 00 fe 03 00 01 00 00 00 00
  08 00 0f 00 fe 00 00 00  08 00 06 00 2c 01 00 00
  0c 00 08 00 08 00 02 00 78 05 00 00  08 00 07 00 0a 09 00 01
  08 00 05 00 0a 09 00 02  08 00 04 00 02 00 00 00`;

Deno.test("a default route is read", () => {
  assertEquals(parseRoute(fromHex(DEFAULT_ROUTE)), {
    destination: net("0.0.0.0/0"),
    type: "unicast",
    table: 254,
    interfaceIndex: 2,
    gateway: ip("10.9.0.2"),
    preferredSource: ip("10.9.0.1"),
    metric: 300,
    scope: "global",
    protocol: 3,
    mtuBytes: 1400,
    multipath: false,
  });
});

Deno.test("a table above 255 is read from its attribute", () => {
  const route = parseRoute(fromHex(`02 18 00 00 fc 03 fd 01 00 00 00 00
    08 00 0f 00 e8 03 00 00  08 00 01 00 c0 00 02 00
    08 00 04 00 02 00 00 00`));
  assertEquals(
    [route.table, route.destination, route.scope],
    [1000, net("192.0.2.0/24"), "link"],
  );
});

Deno.test("a table is read from the header when there is no attribute for it", () => {
  const route = parseRoute(fromHex("02 00 00 00 fe 03 00 01 00 00 00 00"));
  assertEquals(route.table, 254);
});

Deno.test("an unreachable route with a metric above 2^31 is read", () => {
  const route = parseRoute(fromHex(`02 10 00 00 fe 03 00 07 00 00 00 00
    08 00 0f 00 fe 00 00 00  08 00 01 00 0a 01 00 00
    08 00 06 00 00 28 6b ee`));
  assertEquals(
    [route.type, route.metric, route.interfaceIndex],
    ["unreachable", 4_000_000_000, undefined],
  );
});

Deno.test("a route with several next hops has no single device", () => {
  const route = parseRoute(fromHex(`02 18 00 00 fe 03 00 01 00 00 00 00
    08 00 0f 00 fe 00 00 00  08 00 01 00 c6 33 64 00
    24 00 09 00 10 00 00 00 02 00 00 00 08 00 05 00 0a 09 00 02
                10 00 00 00 02 00 00 00 08 00 05 00 0a 09 00 03`));
  assertEquals(
    [route.multipath, route.interfaceIndex, route.gateway],
    [true, undefined, undefined],
  );
});

Deno.test("types of routes are read by name", () => {
  const typeOf = (byte: string) =>
    parseRoute(fromHex(`02 00 00 00 fe 03 00 ${byte} 00 00 00 00`)).type;
  assertEquals(
    ["01", "02", "03", "06", "07", "08"].map(typeOf),
    ["unicast", "local", "other", "blackhole", "unreachable", "other"],
  );
});

Deno.test("the answer to a look-up is read with the path's MTU", () => {
  assertEquals(
    parseRouteAnswer(fromHex(`02 20 00 00 fe 00 00 01 00 02 00 00
      08 00 0f 00 fe 00 00 00  08 00 01 00 08 08 08 08
      08 00 04 00 02 00 00 00  08 00 07 00 0a 09 00 01
      08 00 05 00 0a 09 00 02  0c 00 08 00 08 00 02 00 78 05 00 00
      08 00 19 00 00 00 00 00`)),
    {
      interfaceIndex: 2,
      gateway: ip("10.9.0.2"),
      source: ip("10.9.0.1"),
      mtuBytes: 1400,
    },
  );
});

Deno.test("a route message that is too short is refused", () => {
  assertThrows(() => parseRoute(new Uint8Array(11)), BadNetlinkMessageError);
});
