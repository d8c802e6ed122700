/**
 * The sockets of probes, on the kernel's own loopback and a pair of devices.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { DescriptorWatch } from "../../linux/descriptor_watch.ts";
import { KernelEchoSocket } from "../../linux/echo_socket.ts";
import { ERRNO, SystemCallError } from "../../linux/errno.ts";
import { IPPROTO_IP, setSocketOption } from "../../linux/inet_socket.ts";
import {
  KernelProbeSocket,
  type ProbeFilter,
  type ProbeSocket,
} from "../../linux/probe_socket.ts";
import { type Ipv4, parseIpv4 } from "../../net/ipv4.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";

const OWN = parseIpv4("192.0.2.1")!;
const OTHER = parseIpv4("192.0.2.2")!;
const FAR = parseIpv4("198.51.100.1")!;
const PORT = 8_286;
const IP_TTL = 2;
const FROM_LO: ProbeFilter = {
  devices: ["lo"],
  port: PORT,
  leastTtl: 255,
  clearSourceBits: 0 as Ipv4,
};
const NONCE = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

testInNamespace("sockets of probes", import.meta.url, () => {
  const ip = (line: string) => runSync("ip", line.split(" "));
  ip("address add 192.0.2.1/32 dev lo");
  ip("address add 192.0.2.2/32 dev lo");
  ip("link add d1 type veth peer name d2");

  Deno.test("a datagram comes with its sender and its device", async () => {
    using one = new KernelProbeSocket(OWN, PORT);
    using other = new KernelProbeSocket(OTHER, PORT);
    assertEquals(one.receive(), undefined);
    assertEquals(other.send(OWN, PORT, NONCE), NONCE.length);
    const watch = new DescriptorWatch([one.descriptor]);
    assertEquals(await watch.wait(), [true]);
    await watch.stop();
    assertEquals(one.receive(), {
      address: OTHER,
      port: PORT,
      payload: NONCE,
      device: "lo",
      ttl: 255,
    });
  });

  Deno.test("what does not pass the filter does not reach the buffer", () => {
    using one = new KernelProbeSocket(OWN, PORT);
    using other = new KernelProbeSocket(OTHER, PORT);
    using strange = new KernelProbeSocket(OTHER, PORT + 1);
    const passes = (
      filter: Partial<ProbeFilter>,
      sender: Pick<ProbeSocket, "send"> = other,
    ) => {
      one.setFilter({ ...FROM_LO, ...filter });
      sender.send(OWN, PORT, NONCE);
      return one.receive() !== undefined;
    };
    assertEquals(passes({}), true);
    assertEquals(passes({}, strange), false);
    assertEquals(passes({ port: PORT + 1 }, strange), true);
    assertEquals(passes({ devices: [] }), false);
    assertEquals(passes({ devices: ["no-such-device", "d1"] }), false);
    assertEquals(passes({ devices: ["d1", "lo", "d1"] }), true);
    // 192.0.2.2.
    assertEquals(passes({ clearSourceBits: parseIpv4("0.0.0.253")! }), true);
    assertEquals(passes({ clearSourceBits: parseIpv4("0.0.0.2")! }), false);
    assertEquals(passes({ clearSourceBits: parseIpv4("128.0.0.1")! }), false);
    assertEquals(one.dropped, 5);
    // As a host on the way would have left it.
    setSocketOption(other.descriptor, IPPROTO_IP, IP_TTL, 254);
    assertEquals(passes({}), false);
    assertEquals(passes({ leastTtl: 254 }), true);
    assertEquals(passes({ leastTtl: 0 }), true);
    assertEquals(one.dropped, 6);
  });

  Deno.test("a flood of others leaves room for a peer", () => {
    using one = new KernelProbeSocket(OWN, PORT);
    using other = new KernelProbeSocket(OTHER, PORT);
    using strange = new KernelProbeSocket(OTHER, PORT + 1);
    one.setFilter(FROM_LO);
    for (let sent = 0; sent < 2_000; sent++) strange.send(OWN, PORT, NONCE);
    other.send(OWN, PORT, NONCE);
    assertEquals(one.receive()?.port, PORT);
    assertEquals([one.receive(), one.dropped], [undefined, 2_000]);
  });

  Deno.test("nothing is fragmented", () => {
    ip("link set lo mtu 600");
    using one = new KernelProbeSocket(OWN, PORT);
    assertEquals(one.send(OTHER, PORT, new Uint8Array(572)), 572);
    assertEquals(one.send(OTHER, PORT, new Uint8Array(573)), -ERRNO.EMSGSIZE);
    ip("link set lo mtu 65536");
  });

  Deno.test("a port that nobody has is silent: no error ends a wait", async () => {
    using one = new KernelProbeSocket(OWN, PORT);
    const watch = new DescriptorWatch([one.descriptor]);
    const waiting = watch.wait();
    one.send(OTHER, PORT, NONCE);
    one.send(OWN, PORT, NONCE);
    assertEquals(await waiting, [true]);
    // Its own datagram, and not the ICMP error of the other one.
    assertEquals(one.receive()?.address, OWN);
    assertEquals(one.receive(), undefined);
    await watch.stop();
  });

  Deno.test("a port that is taken and an address that is not there are told apart", () => {
    using _one = new KernelProbeSocket(OWN, PORT);
    for (
      const [address, number] of [
        [OWN, ERRNO.EADDRINUSE],
        [FAR, ERRNO.EADDRNOTAVAIL],
      ] as const
    ) {
      const error = assertThrows(
        () => new KernelProbeSocket(address, PORT),
        SystemCallError,
      );
      assertEquals(error.errno, number);
    }
  });

  Deno.test("an echo request is answered with its nonce and its size", async () => {
    using socket = new KernelEchoSocket(OWN);
    socket.send(OTHER, NONCE, 900);
    const watch = new DescriptorWatch([socket.descriptor]);
    await watch.wait();
    await watch.stop();
    assertEquals(socket.receive(), {
      address: OTHER,
      nonce: NONCE,
      packetBytes: 900,
    });
    assertEquals(socket.receive(), undefined);
  });

  Deno.test("replies to another address of this host do not reach the socket", () => {
    using one = new KernelEchoSocket(OWN);
    using other = new KernelEchoSocket(OTHER);
    other.send(OWN, NONCE, 100);
    assertEquals(other.receive()?.address, OWN);
    assertEquals(one.receive(), undefined);
    assertEquals(
      assertThrows(() => new KernelEchoSocket(FAR), SystemCallError).errno,
      ERRNO.EADDRNOTAVAIL,
    );
  });
});
