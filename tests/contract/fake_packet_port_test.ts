import { FakePacketPort } from "../fakes/fake_packet_port.ts";
import { packetPortContract } from "./packet_port_contract.ts";

packetPortContract("FakePacketPort", () => {
  const port = new FakePacketPort();
  port.plugIn(3);
  port.plugIn(4, 1500, false);
  return {
    port,
    up: 3,
    down: 4,
    absent: 9999,
    frames: () => port.sent.map(({ frame }) => frame),
    [Symbol.dispose]() {},
  };
});
