import { assertEquals } from "@std/assert";
import {
  KernelPacketSteering,
  parseCpuMask,
} from "../../linux/packet_steering.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";
import { packetSteeringContract } from "./packet_steering_contract.ts";

testInNamespace("packet steering", import.meta.url, () => {
  // sysfs shows the network namespace of the process that mounted it.
  runSync("mount", ["-t", "sysfs", "none", "/sys"]);

  function veth(queues: number) {
    runSync("ip", [
      ...["link", "add", "veth7", "numrxqueues", String(queues)],
      ...["type", "veth", "peer", "veth8"],
    ]);
    const [link] = JSON.parse(
      runSync("ip", ["-json", "link", "show", "veth7"]),
    );
    return {
      steering: new KernelPacketSteering(),
      veth: { name: "veth7", index: link.ifindex },
      [Symbol.dispose]: () => void runSync("ip", ["link", "delete", "veth7"]),
    };
  }

  packetSteeringContract("KernelPacketSteering", () => veth(1));

  Deno.test("KernelPacketSteering sets each queue", () => {
    using device = veth(3);
    device.steering.setCpus(device.veth, 1n);
    const set = [0, 1, 2].map((queue) =>
      parseCpuMask(Deno.readTextFileSync(
        `/sys/class/net/veth7/queues/rx-${queue}/rps_cpus`,
      ))
    );
    assertEquals(set, [1n, 1n, 1n]);
  });
});
