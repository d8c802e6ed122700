import { assertEquals, assertMatch } from "@std/assert";
import {
  encodePeer,
  MAPS,
  peerKey,
} from "../../../../backend/udp/ebpf/maps.ts";
import { ownershipOf } from "../../../../backend/udp/ebpf/ownership.ts";
import { describeKernel } from "../../../../commands/bundle/kernel_programs.ts";
import {
  exit,
  loadMap,
  mov,
  R0,
  R1,
} from "../../../../linux/bpf/instructions.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { parseIpv4 } from "../../../../net/ipv4.ts";
import { FakeBpf } from "../../../fakes/fake_bpf.ts";
import { FakeRtnetlink } from "../../../fakes/fake_rtnetlink.ts";

const OWNERSHIP = ownershipOf("loden:/a");

Deno.test("programs are listed with their places, and maps of every kind are described", () => {
  const bpf = new FakeBpf();
  const rtnetlink = new FakeRtnetlink();
  const { index } = rtnetlink.addLink({ name: "eth0" });
  const peers = bpf.createMap({ ...MAPS.loden_peers, noPreallocate: true });
  peers.update(
    peerKey(parseCidr("10.1.6.0/24")!),
    encodePeer({
      address: parseIpv4("192.0.2.12")!,
      interfaceIndex: index,
      flags: 2,
      slot: 7,
      deadlineNs: 5n,
    }),
  );
  const ring = bpf.createMap({
    name: "loden_ring1",
    type: "ringBuffer",
    keyBytes: 0,
    valueBytes: 0,
    maxEntries: 65536,
  });
  const program = bpf.loadProgram({
    name: `loden_rx_${OWNERSHIP.suffix}`,
    type: "schedCls",
    build: () => [
      loadMap(R1, "peers"),
      loadMap(R1, "ring"),
      mov(R0, 0),
      exit(),
    ],
    maps: { peers, ring },
  });
  bpf.attach(index, "ingress", program);
  const text = describeKernel({ rtnetlink, bpf }, OWNERSHIP);
  assertMatch(
    text,
    /^eth0 ingress tcx: program \d+ loden_rx_\w+, tag \w+, maps \d+ \d+$/m,
  );
  assertMatch(text, /^# map \d+ loden_peers1: lpmTrie, .*, 1 used$/m);
  assertMatch(
    text,
    /^10\.1\.6\.0\/24 by 192\.0\.2\.12 over eth0, flags 2, slot 7, deadline 5 ns$/m,
  );
  assertMatch(
    text,
    /^# map \d+ loden_ring1: ringBuffer, .* at most 65536 entries$/m,
  );
});

Deno.test("without programs that is said", () => {
  const bpf = new FakeBpf();
  const rtnetlink = new FakeRtnetlink();
  assertEquals(
    describeKernel({ rtnetlink, bpf }, OWNERSHIP),
    "# programs at devices\nnone\n",
  );
});
