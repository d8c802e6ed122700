import { KernelPacketSteering } from "../../linux/packet_steering.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";
import { packetSteeringContract } from "./packet_steering_contract.ts";

testInNamespace("packet steering", import.meta.url, () => {
  // sysfs shows the network namespace of the process that mounted it.
  runSync("mount", ["-t", "sysfs", "none", "/sys"]);
  packetSteeringContract("KernelPacketSteering", () => {
    runSync("ip", ["link", "add", "veth7", "type", "veth", "peer", "veth8"]);
    const [link] = JSON.parse(
      runSync("ip", ["-json", "link", "show", "veth7"]),
    );
    return {
      steering: new KernelPacketSteering(),
      veth: { name: "veth7", index: link.ifindex },
      [Symbol.dispose]: () => void runSync("ip", ["link", "delete", "veth7"]),
    };
  });
});
