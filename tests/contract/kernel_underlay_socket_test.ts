import { assert, assertEquals, assertThrows } from "@std/assert";
import { DescriptorWatch } from "../../linux/descriptor_watch.ts";
import { ERRNO, SystemCallError } from "../../linux/errno.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { KernelPacketPort } from "../../linux/packet_socket.ts";
import { KernelPoller } from "../../linux/poll.ts";
import { KernelUnderlaySocket } from "../../linux/underlay_socket.ts";
import { internetChecksum } from "../../net/checksum.ts";
import { parseAddressWithPrefix, parseCidr } from "../../net/cidr.ts";
import { type Ipv4, parseIpv4 } from "../../net/ipv4.ts";
import { untilOperUp } from "../support/oper_up.ts";
import {
  ipv4Packet,
  PROTOCOLS,
  somePayload,
  udpPacket,
} from "../support/packet_builder.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";
import {
  PEER,
  ROUTER,
  SOCKET_DATAGRAM_BYTES,
  SOCKET_PORT,
  underlaySocketContract,
} from "./underlay_socket_contract.ts";

const OWN = parseIpv4("10.2.0.1")!;
const OWN_MAC = Uint8Array.of(2, 0, 0, 0, 2, 1);
const ROUTER_MAC = Uint8Array.of(2, 0, 0, 0, 2, 2);
const PATIENCE_MS = 5000;
const MOMENT_MS = 100;
/** Room for the largest test datagram in one packet. */
const MTU_BYTES = 4000;

const DESTINATION_UNREACHABLE = 3;
const PORT_UNREACHABLE = 3;
const FRAGMENTATION_NEEDED = 4;

/** A packet from the socket's address and port, as the programs send them. */
function outerPacket(bytes: number): Uint8Array {
  return udpPacket({
    source: OWN,
    destination: PEER,
    sourcePort: SOCKET_PORT,
    destinationPort: SOCKET_PORT,
    payload: somePayload(bytes - 28),
    withoutChecksum: true,
  });
}

/** An ICMP message about {@linkcode outerPacket}, which it quotes. */
function unreachable(source: Ipv4, code: number, mtuBytes: number): Uint8Array {
  const message = new Uint8Array(8 + 28);
  message[0] = DESTINATION_UNREACHABLE;
  message[1] = code;
  const view = new DataView(message.buffer);
  view.setUint16(6, mtuBytes);
  message.set(outerPacket(1400).subarray(0, 28), 8);
  view.setUint16(2, internetChecksum(message));
  return ipv4Packet({ source, destination: OWN }, PROTOCOLS.icmp, message);
}

function ethernetFrame(
  destination: Uint8Array,
  source: Uint8Array,
  packet: Uint8Array,
): Uint8Array {
  return Uint8Array.of(...destination, ...source, 0x08, 0x00, ...packet);
}

/**
 * A host with an Ethernet at whose other end a test puts frames; the router is
 * there in the neighbour table only.
 */
function hostOnEthernet() {
  const rtnetlink = new KernelRtnetlink();
  const { link, peer } = rtnetlink.createVethPair({
    name: "under0",
    peerName: "under0p",
    mac: OWN_MAC,
    peerMac: ROUTER_MAC,
    mtuBytes: MTU_BYTES,
    peerMtuBytes: MTU_BYTES,
  });
  for (const { index } of [link, peer]) {
    rtnetlink.changeLink(index, { arp: true, up: true });
  }
  untilOperUp(rtnetlink, [link.index, peer.index]);
  rtnetlink.ensureAddress(link.index, parseAddressWithPrefix("10.2.0.1/24")!);
  rtnetlink.replaceRoute({
    destination: parseCidr("10.3.0.0/24")!,
    gateway: ROUTER,
  });
  const port = new KernelPacketPort();
  return {
    rtnetlink,
    link,
    peer,
    port,
    arrives(packet: Uint8Array) {
      const frame = ethernetFrame(OWN_MAC, ROUTER_MAC, packet);
      assertEquals(port.sendFrame(peer.index, frame), frame.length);
    },
    [Symbol.dispose]() {
      port[Symbol.dispose]();
      rtnetlink.deleteLink(link.index);
      rtnetlink[Symbol.dispose]();
    },
  };
}

function open(bufferBytes?: number): KernelUnderlaySocket {
  return new KernelUnderlaySocket({
    address: OWN,
    port: SOCKET_PORT,
    datagramBytes: SOCKET_DATAGRAM_BYTES,
    ...(bufferBytes === undefined ? {} : { bufferBytes }),
  });
}

function world(bufferBytes?: number) {
  const host = hostOnEthernet();
  const socket = open(bufferBytes);
  return {
    host,
    socket,
    interfaceIndex: host.link.index,
    peerSends: (sourcePort: number, payload: Uint8Array) =>
      host.arrives(udpPacket({
        source: PEER,
        destination: OWN,
        sourcePort,
        destinationPort: SOCKET_PORT,
        payload,
      })),
    routerRefuses: (mtuBytes: number) =>
      host.arrives(unreachable(ROUTER, FRAGMENTATION_NEEDED, mtuBytes)),
    peerRefuses: () => host.arrives(unreachable(PEER, PORT_UNREACHABLE, 0)),
    settle: () => {
      new KernelPoller([socket.descriptor]).wait(MOMENT_MS);
    },
    [Symbol.dispose]() {
      socket[Symbol.dispose]();
      host[Symbol.dispose]();
    },
  };
}

/** Another host on {@linkcode hostOnEthernet}'s wire: a router with forwarding. */
function plugInRouter(host: ReturnType<typeof hostOnEthernet>) {
  const child = new Deno.Command("unshare", {
    args: ["--net", "sh", "-c", "echo ready; exec sleep 60"],
    stdout: "piped",
  }).spawn();
  const inside = (...command: string[]) =>
    runSync("nsenter", ["--net", `--target=${child.pid}`, ...command]);
  return {
    async start(mtuBytes: number) {
      const reader = child.stdout.getReader();
      await reader.read();
      await reader.cancel();
      runSync("ip", ["link", "set", "under0p", "netns", String(child.pid)]);
      inside("ip", "link", "set", "under0p", "up");
      inside("ip", "address", "add", "10.2.0.2/24", "dev", "under0p");
      inside(
        "ip",
        "link",
        "add",
        "far",
        "mtu",
        String(mtuBytes),
        "type",
        "bridge",
      );
      inside("ip", "address", "add", "10.3.0.1/24", "dev", "far");
      inside("ip", "link", "set", "far", "up");
      inside("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward");
      untilOperUp(host.rtnetlink, [host.link.index]);
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}

const mtuToPeer = ({ rtnetlink }: ReturnType<typeof hostOnEthernet>) =>
  rtnetlink.routeTo(PEER).mtuBytes;

testInNamespace(
  "KernelUnderlaySocket keeps its contract",
  import.meta.url,
  () => {
    underlaySocketContract("KernelUnderlaySocket", world);

    Deno.test("a router's answer to a packet that no socket sent teaches the socket and the routing the MTU", async () => {
      using host = hostOnEthernet();
      using socket = open();
      await using router = plugInRouter(host);
      await router.start(1300);
      assertEquals(mtuToPeer(host), undefined);
      const packet = ethernetFrame(ROUTER_MAC, OWN_MAC, outerPacket(1400));
      assertEquals(
        host.port.sendFrame(host.link.index, packet),
        packet.length,
      );
      const watch = new DescriptorWatch([socket.descriptor]);
      assertEquals(await watch.wait(), [true]);
      await watch.stop();
      const error = socket.receiveError();
      assertEquals(
        [error?.address, error?.reporter, error?.mtuBytes, error?.errno],
        [PEER, ROUTER, 1300, ERRNO.EMSGSIZE],
      );
      assertEquals(mtuToPeer(host), 1300);
    });

    Deno.test("the routing learns no MTU for a port without a socket", () => {
      using host = hostOnEthernet();
      const message = unreachable(ROUTER, FRAGMENTATION_NEEDED, 1300);
      host.arrives(message);
      using socket = open();
      host.arrives(unreachable(PEER, PORT_UNREACHABLE, 0));
      // When the second message is through, the first is.
      new KernelPoller([socket.descriptor]).wait(PATIENCE_MS);
      assertEquals(socket.receiveError()?.errno, ERRNO.ECONNREFUSED);
      assertEquals(mtuToPeer(host), undefined);
      host.arrives(message);
      new KernelPoller([socket.descriptor]).wait(PATIENCE_MS);
      assertEquals(mtuToPeer(host), 1300);
    });

    Deno.test("a watch sees an error until it is read, and then waits", async () => {
      using host = world();
      const watch = new DescriptorWatch([host.socket.descriptor]);
      host.routerRefuses(1300);
      assertEquals(await watch.wait(), [true]);
      assertEquals(host.socket.receive(), undefined);
      assertEquals(await watch.wait(), [true]);
      assert(host.socket.receiveError());
      const waiting = watch.wait();
      host.peerSends(1, somePayload(10));
      assertEquals(await waiting, [true]);
      assertEquals(host.socket.receive()?.payload.length, 10);
      await watch.stop();
    });

    Deno.test("a full buffer costs datagrams, which are counted", () => {
      using host = world(4096);
      for (let i = 0; i < 200; i++) host.peerSends(1, somePayload(1000));
      // Until one finds room behind those that have been lost.
      do host.peerSends(2, somePayload(10)); while (
        host.socket.receive()?.port !== 2
      );
      assert(host.socket.dropped > 0, String(host.socket.dropped));
    });

    Deno.test("a second socket on the port is refused", () => {
      using _host = hostOnEthernet();
      using _first = open();
      const error = assertThrows(() => open(), SystemCallError);
      assertEquals(error.errno, ERRNO.EADDRINUSE);
    });
  },
);
