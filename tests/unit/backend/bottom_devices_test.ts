import { assertEquals } from "@std/assert";
import { bottomDevices } from "../../../backend/bottom_devices.ts";
import { FakeRtnetlink } from "../../fakes/fake_rtnetlink.ts";

/** The names of the devices at the bottom of one. */
function bottomOf(name: string, rtnetlink: FakeRtnetlink): string[] {
  const links = rtnetlink.links();
  return bottomDevices(links.find((link) => link.name === name)!, links)
    .map((link) => link.name);
}

Deno.test("below a bridge on a VLAN of a bond are the bond's ports", () => {
  const rtnetlink = new FakeRtnetlink();
  const bond = rtnetlink.addLink({ name: "bond0", kind: "bond" }).index;
  for (const name of ["eth0", "eth1"]) {
    rtnetlink.addLink({ name, masterIndex: bond });
  }
  rtnetlink.addLink({ name: "eth2" });
  const bridge = rtnetlink.addLink({ name: "br0", kind: "bridge" }).index;
  rtnetlink.addLink({
    name: "bond0.7",
    kind: "vlan",
    peerIndex: bond,
    masterIndex: bridge,
  });
  rtnetlink.addLink({ name: "tap0", kind: "tun", masterIndex: bridge });
  assertEquals(bottomOf("br0", rtnetlink), ["eth0", "eth1", "tap0"]);
  assertEquals(bottomOf("bond0.7", rtnetlink), ["eth0", "eth1"]);
  assertEquals(bottomOf("eth2", rtnetlink), ["eth2"]);
});

Deno.test("a device whose lower one cannot be seen is its own, as is a veth, whose other end is not below it", () => {
  const rtnetlink = new FakeRtnetlink();
  rtnetlink.addLink({ name: "bond0", kind: "bond" });
  rtnetlink.addLink({ name: "vlan7", kind: "vlan" });
  const far = rtnetlink.addLink({ name: "far", kind: "veth" }).index;
  rtnetlink.addLink({ name: "near", kind: "veth", peerIndex: far });
  for (const name of ["bond0", "vlan7", "near"]) {
    assertEquals(bottomOf(name, rtnetlink), [name]);
  }
});
