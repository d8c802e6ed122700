import { assertEquals, assertNotEquals } from "@std/assert";
import { vtepMac } from "../../../../backend/vxlan/vtep_mac.ts";

const HOST = "0123456789abcdef0123456789abcdef";

Deno.test("vtepMac() is the same at each start, and another for each host and network", async () => {
  const mac = await vtepMac(HOST, 1);
  assertEquals(await vtepMac(HOST, 1), mac);
  assertNotEquals(await vtepMac(HOST, 2), mac);
  assertNotEquals(await vtepMac(HOST.replace("0", "1"), 1), mac);
});

Deno.test("vtepMac() is a unicast address, locally administered", async () => {
  for (let vni = 0; vni < 200; vni++) {
    const mac = await vtepMac(HOST, vni);
    assertEquals([mac.length, mac[0]! & 3], [6, 2]);
  }
});
