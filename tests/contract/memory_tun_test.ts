import { MemoryTun } from "../fakes/memory_tun.ts";
import { KernelWorld } from "../support/kernel_world.ts";
import { udpPacket } from "../support/packet_builder.ts";
import { TUN_LAYOUT } from "../support/path_world.ts";
import { segment } from "../support/slow_packets.ts";
import {
  HOST,
  HOST_PORT,
  REMOTE,
  tunPortContract,
} from "./tun_port_contract.ts";

tunPortContract("MemoryTun", () => {
  const { memory } = new KernelWorld();
  const port = new MemoryTun(memory, TUN_LAYOUT);
  return {
    memory,
    port,
    hostSends(payload) {
      port.enqueue(udpPacket({
        source: HOST,
        destination: REMOTE,
        sourcePort: HOST_PORT,
        destinationPort: HOST_PORT,
        payload,
      }));
    },
    hostReceives: () =>
      port.written.splice(0)
        .flatMap(({ vnet, packet }) => segment(vnet, packet))
        .map((packet) => packet.slice(28)),
    deleteDevice: () => port.delete(),
    [Symbol.dispose]() {},
  };
});
