import { assertEquals } from "@std/assert";
import {
  decodePeer,
  encodePeer,
  MAPS,
  PEER,
  PEER_KEY_BYTES,
  type PeerEntry,
  peerKey,
  subnetOfKey,
} from "../../../../../backend/udp/ebpf/maps.ts";
import { FakeBpf } from "../../../../fakes/fake_bpf.ts";
import { newMaps } from "../../../../support/ebpf_world.ts";
import { address, network } from "../../../../support/kernel_world.ts";

const ENTRY: PeerEntry = {
  address: address("192.0.2.7"),
  interfaceIndex: 0x0102_0304,
  flags: 3,
  slot: 4_095,
  deadlineNs: 0x1122_3344_5566_7788n,
};

Deno.test("a peer's bytes are where the programs read them", () => {
  assertEquals(
    encodePeer(ENTRY).toHex(),
    "c0000207" + "04030201" + "03000000" + "ff0f0000" + "8877665544332211",
  );
  assertEquals(encodePeer(ENTRY).length, PEER.BYTES);
});

Deno.test("a peer is read as it was written, also behind other bytes", () => {
  const bytes = Uint8Array.of(9, 9, 9, ...encodePeer(ENTRY));
  assertEquals(decodePeer(bytes.subarray(3)), ENTRY);
});

Deno.test("a key is the prefix length and the address, and tells its subnet", () => {
  const key = peerKey(network("10.1.33.0/24"));
  assertEquals(key.toHex(), "18000000" + "0a012100");
  assertEquals(key.length, PEER_KEY_BYTES);
  assertEquals(
    subnetOfKey(Uint8Array.of(9, ...key).subarray(1)),
    network("10.1.33.0/24"),
  );
});

Deno.test("an address is found by its subnet, and by the narrower of two", () => {
  using bpf = new FakeBpf();
  const { loden_peers: peers } = newMaps(bpf);
  const put = (subnet: string, slot: number) =>
    peers.update(peerKey(network(subnet)), encodePeer({ ...ENTRY, slot }));
  put("10.1.0.0/16", 1);
  put("10.1.33.0/24", 2);
  const slotOf = (host: string) =>
    decodePeer(peers.lookup(peerKey(network(`${host}/32`)))!).slot;
  assertEquals([slotOf("10.1.33.9"), slotOf("10.1.34.9")], [2, 1]);
});

Deno.test("each map has in the kernel its name in the programs and the layout's number", () => {
  for (const [name, spec] of Object.entries(MAPS)) {
    assertEquals(spec.name.replace(/\d+$/, ""), name);
    assertEquals(/\d+$/.test(spec.name), true);
    assertEquals(spec.name.length <= 15, true);
  }
});
