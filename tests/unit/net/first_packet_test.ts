import { assertEquals } from "@std/assert";
import { buildFirstPacket } from "../../../net/first_packet.ts";
import { parseIpv4 } from "../../../net/ipv4.ts";
import { internetChecksum } from "../../../net/checksum.ts";
import {
  ipv4Packet,
  TCP_FLAGS,
  tcpPacket,
  udpPacket,
} from "../../support/packet_builder.ts";

const IP = {
  source: parseIpv4("10.1.5.2")!,
  destination: parseIpv4("10.1.7.2")!,
  ttl: 2,
  id: 4_711,
};
const PORTS = [50_000, 80] as const;
const TRANSPORT = { ...IP, sourcePort: 50_000, destinationPort: 80 };

for (const sizeBytes of [28, 84, 301, 1_472]) {
  Deno.test(`packets of ${sizeBytes} bytes are those of the slow builder`, () => {
    const payload = new Uint8Array(sizeBytes - 28);
    const common = { ...IP, ports: PORTS, sizeBytes };
    assertEquals(
      buildFirstPacket({ ...common, protocol: 17 }),
      udpPacket({ ...TRANSPORT, payload }),
    );
    const echo = new Uint8Array(sizeBytes - 20);
    echo.set([8, 0, 0, 0, 50_000 >> 8, 50_000 & 255, 0, 80]);
    new DataView(echo.buffer).setUint16(2, internetChecksum(echo));
    assertEquals(
      buildFirstPacket({ ...common, protocol: 1 }),
      ipv4Packet(IP, 1, echo),
    );
    const content = Math.max(0, sizeBytes - 40);
    assertEquals(
      buildFirstPacket({ ...common, protocol: 6 }),
      tcpPacket({
        ...TRANSPORT,
        sequence: 0,
        acknowledgement: 0,
        flags: TCP_FLAGS.syn,
        window: 64_240,
        payload: new Uint8Array(content),
      }),
    );
  });
}
