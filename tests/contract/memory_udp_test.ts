import { MemoryUdp } from "../fakes/memory_udp.ts";
import { address, KernelWorld } from "../support/kernel_world.ts";
import { udpPortContract } from "./udp_port_contract.ts";

udpPortContract("MemoryUdp", () => {
  const { memory } = new KernelWorld();
  const port = new MemoryUdp(memory);
  const peer = address("192.0.2.2");
  const unreachable = address("203.0.113.1");
  port.makeUnreachable(unreachable);
  return {
    memory,
    port,
    own: address("192.0.2.1"),
    peer,
    unreachable,
    peerSends: (...datagrams) => port.arrive(peer, ...datagrams),
    peerReceives: () =>
      port.sent.splice(0).flatMap(({ datagrams }) => datagrams),
    [Symbol.dispose]() {},
  };
});
