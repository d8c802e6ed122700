import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { ownershipOf } from "../../../../../backend/udp/ebpf/ownership.ts";
import { programName } from "../../../../../backend/udp/ebpf/programs/programs.ts";

const ROLES = ["egress", "hop", "ingress", "xdp"] as const;

Deno.test("a network's marks are the same at each start", () => {
  const { suffix, mark, mac, peerMac } = ownershipOf(
    "loden:/coreos.com/network",
  );
  assertEquals(
    [suffix, mark >>> 0, mac.toHex(), peerMac.toHex()],
    ["d0936", 0xd0936b8f, "024c6fd09300", "024c6fd09301"],
  );
});

Deno.test("two networks have no mark in common", () => {
  const ours = ownershipOf("loden:/coreos.com/network");
  const other = ownershipOf("loden:/other");
  assertNotEquals(ours.suffix, other.suffix);
  assertNotEquals(ours.mark, other.mark);
  assertNotEquals(ours.mac, other.mac);
  assertNotEquals(ours.peerMac, other.peerMac);
});

Deno.test("the addresses are of single devices, given by an administrator, and tell the ends apart", () => {
  const { mac, peerMac } = ownershipOf("loden:/coreos.com/network");
  for (const end of [mac, peerMac]) {
    assertEquals([end.length, end[0]! & 3], [6, 2]);
  }
  assertNotEquals(mac, peerMac);
});

Deno.test("a program's name fits into the kernel's 15 letters, whatever the prefix", () => {
  for (const prefix of ["", "/", "/coreos.com/network", "/ä".repeat(100)]) {
    const { suffix } = ownershipOf(`loden:${prefix}`);
    for (const role of ROLES) {
      const name = programName(role, suffix);
      assert(name.length <= 15, name);
      assert(/^[a-z_0-9]+$/.test(name), name);
    }
  }
});
