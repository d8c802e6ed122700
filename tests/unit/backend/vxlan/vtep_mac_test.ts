import { assertEquals, assertNotEquals } from "@std/assert";
import { vtepMac } from "../../../../backend/vxlan/vtep_mac.ts";
import { type Ipv4, parseIpv4 } from "../../../../net/ipv4.ts";

const NETWORK = "loden:/coreos.com/network";
const ADDRESS = parseIpv4("192.0.2.11")!;

Deno.test("vtepMac() is the same at each start, and another for each host and network", () => {
  const mac = vtepMac(NETWORK, 1, ADDRESS);
  assertEquals(vtepMac(NETWORK, 1, ADDRESS), mac);
  assertNotEquals(vtepMac(NETWORK, 2, ADDRESS), mac);
  assertNotEquals(vtepMac("loden:/other", 1, ADDRESS), mac);
  assertNotEquals(vtepMac(NETWORK, 1, parseIpv4("192.0.2.12")!), mac);
});

Deno.test("vtepMac() is a unicast address, locally administered", () => {
  for (let host = 0; host < 200; host++) {
    const mac = vtepMac(NETWORK, 1, (ADDRESS + host) as Ipv4);
    assertEquals([mac.length, mac[0]! & 3], [6, 2]);
  }
});
