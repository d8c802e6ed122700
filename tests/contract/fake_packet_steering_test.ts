import { FakePacketSteering } from "../fakes/fake_packet_steering.ts";
import { packetSteeringContract } from "./packet_steering_contract.ts";

packetSteeringContract("FakePacketSteering", () => {
  const steering = new FakePacketSteering();
  const veth = { name: "veth7", index: 7 };
  steering.plugIn(veth);
  return { steering, veth, [Symbol.dispose]() {} };
});
