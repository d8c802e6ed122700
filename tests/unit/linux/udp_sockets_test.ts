import { assert, assertEquals } from "@std/assert";
import { createSocket } from "node:dgram";
import { parseProcNetUdp } from "../../../linux/udp_sockets.ts";
import { parseIpv4 } from "../../../net/ipv4.ts";

const TEXT =
  `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 1017: 0B0200C0:205D 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 77119 2 0000000000000000 0
 1204: 00000000:2118 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 0 2 0000000000000000 0
`;

Deno.test("sockets of programs are read with address and port, the kernel's own are left out", () => {
  assertEquals(parseProcNetUdp(TEXT), [
    { address: parseIpv4("192.0.2.11")!, port: 8285 },
  ]);
  assertEquals(parseProcNetUdp(""), []);
});

Deno.test("a socket of this process is among them", async () => {
  const socket = createSocket("udp4");
  try {
    const bound = Promise.withResolvers<void>();
    socket.bind(0, "127.0.0.1", bound.resolve);
    await bound.promise;
    const { port } = socket.address();
    const found = parseProcNetUdp(Deno.readTextFileSync("/proc/self/net/udp"));
    assert(
      found.some((each) =>
        each.port === port && each.address === parseIpv4("127.0.0.1")!
      ),
    );
  } finally {
    socket.close();
  }
});
