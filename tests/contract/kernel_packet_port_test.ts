import { addressOf, checked, libc } from "../../linux/libc.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { KernelPoller } from "../../linux/poll.ts";
import { KernelPacketPort } from "../../linux/packet_socket.ts";
import { untilOperUp } from "../support/oper_up.ts";
import { testInNamespace } from "./in_namespace.ts";
import { packetPortContract } from "./packet_port_contract.ts";

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0x800;
const PATIENCE_MS = 5000;
/** ETH_P_ALL in network byte order. */
const EVERYTHING = 0x0300;

/** Everything that arrives at a device from now on. */
function listenAt(interfaceIndex: number): Disposable & {
  frames(count: number): Uint8Array[];
} {
  const descriptor = checked(
    libc().socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0),
    "create a packet socket",
  );
  const name = new DataView(new ArrayBuffer(20));
  name.setUint16(0, AF_PACKET, true);
  name.setUint16(2, EVERYTHING, true);
  name.setInt32(4, interfaceIndex, true);
  checked(libc().bind(descriptor, addressOf(name), 20), "listen");
  return {
    frames(count) {
      const frames: Uint8Array[] = [];
      const poller = new KernelPoller([descriptor]);
      for (;;) {
        if (frames.length < count) poller.wait(PATIENCE_MS);
        const frame = new Uint8Array(4096);
        const bytes = libc().recv(descriptor, addressOf(frame), 4096, 0);
        if (bytes < 0) return frames;
        frames.push(frame.subarray(0, bytes));
      }
    },
    [Symbol.dispose]: () => libc().close(descriptor),
  };
}

testInNamespace("KernelPacketPort keeps its contract", import.meta.url, () => {
  packetPortContract("KernelPacketPort", () => {
    const rtnetlink = new KernelRtnetlink();
    const mac = (last: number) => Uint8Array.of(2, 0, 0, 0, 1, last);
    const [pair, idle] = [7, 8].map((number) =>
      rtnetlink.createVethPair({
        name: `veth${number}`,
        peerName: `veth${number}p`,
        mac: mac(number),
        peerMac: mac(number + 100),
        mtuBytes: 1500,
        peerMtuBytes: 1500,
      })
    );
    for (const { index } of [pair!.link, pair!.peer]) {
      rtnetlink.changeLink(index, { up: true });
    }
    untilOperUp(rtnetlink, [pair!.link.index, pair!.peer.index]);
    const port = new KernelPacketPort();
    const listener = listenAt(pair!.peer.index);
    return {
      port,
      up: pair!.link.index,
      down: idle!.link.index,
      absent: 9999,
      frames: (count) => listener.frames(count),
      [Symbol.dispose]() {
        port[Symbol.dispose]();
        listener[Symbol.dispose]();
        for (const { link } of [pair!, idle!]) rtnetlink.deleteLink(link.index);
        rtnetlink[Symbol.dispose]();
      },
    };
  });
});
