/**
 * Loden among flannel's own daemons: the same keys, values and packets.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { internetChecksum } from "../../net/checksum.ts";
import { innerPacket } from "../support/inner_packet.ts";
import { EACH_PATH } from "./data_paths.ts";
import { CONFIG, eventually, serve, statusOf, SUBNETS } from "./overlay.ts";
import { OverlaySuite } from "./overlay_suite.ts";
import { program } from "./programs/path.ts";
import { Rig } from "../rig/rig.ts";

const OVERLAY_PORT = "8285";
/** flannel's own words, compat 3.2: HEAD's and v0.5.5's. */
const HEAD_VALUE = '{"PublicIP":"192.0.2.13","PublicIPv6":null}';
const V055_VALUE = '{"PublicIP":"192.0.2.13"}';

const suite = new OverlaySuite("flannel beside", {
  hosts: 3,
  agents: 2,
  // Every packet is captured.
  flags: ["--probe-port=0"],
});

/** Makes the third host the holder of 10.1.n.0/24, as flannel would. */
async function putLease(n: number, value: string): Promise<void> {
  const { address } = suite.rig.host(2);
  await suite.rig.etcd.ctl("put", `${SUBNETS}/10.1.${n}.0-24`, value);
  await eventually(
    "the peer",
    () => statusOf(suite.node(0)),
    ({ peers }) =>
      peers.some((peer) =>
        peer.subnet === `10.1.${n}.0/24` && peer.publicIp === address
      ),
  );
}

suite.each(EACH_PATH, (test) => {
  for (
    const [version, value, number] of [
      ["HEAD", HEAD_VALUE, 201],
      ["v0.5.5", V055_VALUE, 202],
    ] as const
  ) {
    test(`a lease that flannel ${version} wrote is a peer: packets go there in flannel's format`, async () => {
      const { container, host, traits } = suite.node(0);
      const third = suite.rig.host(2);
      await using capture = await serve(
        suite.rig,
        third.namespace,
        program("udp_capture.ts", third.address, OVERLAY_PORT),
      );
      await putLease(number, value);
      const destination = `10.1.${number}.9`;
      await container.namespace.attempt(
        ["ping", "-n", "-c1", "-W1", destination],
      );
      const [, sender, hex] = await capture.untilLogged(
        /^(\S+) (45\w*)$/m,
        5_000,
      );
      // flannel sends from its port, and nothing but the packet (compat 7.2).
      assertEquals(sender, `${host.address}:${OVERLAY_PORT}`);
      const packet = Uint8Array.fromHex(hex!);
      const view = new DataView(packet.buffer);
      assertEquals(view.getUint16(2), packet.length);
      assertEquals(internetChecksum(packet.subarray(0, 20)), 0);
      assertEquals([...packet.subarray(12, 16)].join("."), container.address);
      assertEquals([...packet.subarray(16, 20)].join("."), destination);
      // One hop in the host's kernel; flannel's agent takes another (compat 7.5).
      assertEquals(packet[8], 63 - traits.ttlTaken);
    });
  }

  test("a packet in flannel's format is delivered", async () => {
    const { container, host } = suite.node(0);
    await putLease(201, HEAD_VALUE);
    await using capture = await serve(
      suite.rig,
      container.namespace,
      program("udp_capture.ts", container.address, "7000"),
    );
    const packet = innerPacket({
      source: "10.1.201.9",
      destination: container.address,
      port: 7000,
      payload: new TextEncoder().encode("hello"),
    });
    await suite.rig.host(2).namespace.run(
      program("udp_inject.ts", host.address, OVERLAY_PORT),
      { stdin: packet.toHex() },
    );
    const [, sender] = await capture.untilLogged(/^(\S+) 68656c6c6f$/m, 5_000);
    assertEquals(sender, "10.1.201.9:7000");
  });

  test("a lease of another backend, and keys and values that are none, leave the peers alone", async () => {
    const { etcd } = suite.rig;
    const before = (await statusOf(suite.node(0))).peers.map((peer) =>
      peer.subnet
    ).sort();
    await etcd.ctl(
      "put",
      `${SUBNETS}/10.1.210.0-24`,
      '{"PublicIP":"192.0.2.14","PublicIPv6":null,"BackendType":"vxlan",' +
        '"BackendData":{"VNI":1,"VtepMAC":"22:3d:a5:7d:cb:62"}}',
    );
    await etcd.ctl("put", `${SUBNETS}/garbage`, "x");
    await etcd.ctl("put", `${SUBNETS}/10.1.211.0-24`, "not JSON");
    await etcd.ctl("put", `${SUBNETS}/10.1.212.0-24`, '{"PublicIP":7}');
    // A right one after them shows that all of them have been read.
    await etcd.ctl("put", `${SUBNETS}/10.1.213.0-24`, HEAD_VALUE);
    const after = await eventually(
      "the last peer",
      async () =>
        (await statusOf(suite.node(0))).peers.map((peer) => peer.subnet),
      (subnets) => subnets.includes("10.1.213.0/24"),
    );
    assertEquals(after.sort(), [...before, "10.1.213.0/24"].sort());
    for (const { agent } of suite.nodes) {
      assertMatch(agent.process.log(), /garbage/);
      assertMatch(agent.process.log(), /10\.1\.211\.0/);
      assertEquals(agent.process.exitCode, undefined);
    }
  });

  test("Loden's own lease reads as flannel's", async () => {
    const { FLANNEL_SUBNET } = await suite.node(0).agent.subnetEnv();
    const [address, length] = FLANNEL_SUBNET!.split("/");
    const key = `${SUBNETS}/${address!.replace(/\.1$/, ".0")}-${length}`;
    const stored = await suite.rig.etcd.ctl("get", key, "--write-out=json");
    const value = atob(JSON.parse(stored).kvs[0].value);
    assert(
      value.startsWith('{"PublicIP":"192.0.2.11","PublicIPv6":null'),
      value,
    );
    assertEquals(JSON.parse(value).BackendType, undefined);
    // It hangs on an etcd lease of a day (compat 3.3).
    // The id has more digits than a JSON number keeps.
    const leaseId = BigInt(/"lease":(\d+)/.exec(stored)![1]!);
    const ttl = await suite.rig.etcd.ctl(
      "lease",
      "timetolive",
      leaseId.toString(16),
    );
    assertMatch(ttl, /granted with TTL\(86400s\)/);
  });
});

Deno.test("an agent that is given FLANNELD_ETCD_ENDPOINTS and FLANNELD_IFACE alone works, with flannel's files", async () => {
  await using rig = await Rig.create({ hosts: 1 });
  await rig.startEtcd();
  await rig.publish(CONFIG);
  const host = rig.host(0);
  const agent = await rig.startAgent(host, {
    environmentOnly: true,
    iface: host.address,
  });
  await agent.ready();
  const { FLANNEL_IPMASQ, FLANNEL_MTU, FLANNEL_NETWORK } = await agent
    .subnetEnv();
  assertEquals(FLANNEL_NETWORK, "10.1.0.0/16");
  assertEquals(FLANNEL_MTU, "1472");
  assertEquals(FLANNEL_IPMASQ, "false");
  assertEquals((await agent.bridge()).mtuBytes, 1472);
  assertEquals(await agent.stop(), 0);
});
