import { assertEquals } from "@std/assert";
import { backendOf } from "../../../backend/backends.ts";
import type {
  InspectedPeer,
  Inspection,
  InspectionHost,
} from "../../../backend/inspection.ts";
import { encodePeer, peerKey } from "../../../backend/udp/ebpf/maps.ts";
import { programName } from "../../../backend/udp/ebpf/programs/programs.ts";
import type { BpfMap } from "../../../linux/bpf/bpf.ts";
import { exit, loadMap, mov, R0, R1 } from "../../../linux/bpf/instructions.ts";
import type { NewRoute } from "../../../linux/netlink/rtnetlink.ts";
import { parseCidr } from "../../../net/cidr.ts";
import { parseIpv4 } from "../../../net/ipv4.ts";
import { FakeBpf } from "../../fakes/fake_bpf.ts";
import { FakeRtnetlink } from "../../fakes/fake_rtnetlink.ts";
import { FakeWireguard } from "../../fakes/fake_wireguard.ts";
import { ALIAS, newMaps, OWNER } from "../../support/ebpf_world.ts";

const PEER = {
  subnet: parseCidr("10.1.7.0/24")!,
  publicIp: parseIpv4("192.0.2.12")!,
};
const OTHER = parseIpv4("192.0.2.13")!;
const DESTINATION = parseIpv4("10.1.7.2")!;
const MAC = Uint8Array.of(2, 0, 0, 0, 0, 7);
const NOW_NS = 1_000n;

/** The kernel of a host. */
class Kernel {
  readonly rtnetlink = new FakeRtnetlink();
  readonly bpf = new FakeBpf();
  readonly wireguard: FakeWireguard = new FakeWireguard(this.rtnetlink);
  readonly eth0: number;

  constructor() {
    this.eth0 = this.rtnetlink.addLink({ name: "eth0", up: true }).index;
    this.rtnetlink.addAddress(this.eth0, "192.0.2.11/24");
  }

  route(route: Partial<NewRoute>): void {
    this.rtnetlink.replaceRoute({
      destination: PEER.subnet,
      onlink: true,
      ...route,
    });
  }

  get host(): InspectionHost {
    return {
      rtnetlink: this.rtnetlink,
      deviceAlias: ALIAS,
      bootTimeNs: () => NOW_NS,
      openBpf: () => this.bpf,
      openWireguard: () => this.wireguard,
    };
  }

  send(type: string, peer: InspectedPeer = PEER): Inspection {
    return backendOf(type).inspector({}).send(this.host, peer, DESTINATION);
  }

  receive(type: string): Inspection {
    return backendOf(type).inspector({}).receive(this.host, PEER, "eth0");
  }
}

const outcomes = ({ findings }: Inspection) =>
  findings.map(({ outcome, stage }) => `${stage}: ${outcome}`);

for (const type of ["host-gw", "ipip"]) {
  Deno.test(`${type}: the route must lead to the peer`, () => {
    const kernel = new Kernel();
    kernel.route({ interfaceIndex: kernel.eth0, gateway: PEER.publicIp });
    assertEquals(outcomes(kernel.send(type)), ["peer entry: ok"]);
    kernel.route({ interfaceIndex: kernel.eth0, gateway: OTHER });
    assertEquals(outcomes(kernel.send(type)), ["peer entry: drop"]);
  });
}

Deno.test("vxlan: the device must send to the peer", () => {
  const kernel = new Kernel();
  const { rtnetlink } = kernel;
  const { index } = rtnetlink.createVxlan({
    name: "flannel.1",
    vni: 1,
    underlayIndex: kernel.eth0,
    local: parseIpv4("192.0.2.11")!,
    port: 8472,
    learning: false,
    outerChecksum: false,
    groupPolicy: false,
    mac: Uint8Array.of(2, 0, 0, 0, 0, 5),
    mtuBytes: 1450,
  });
  rtnetlink.changeLink(index, { up: true });
  kernel.route({ interfaceIndex: index, gateway: PEER.subnet.address });
  assertEquals(outcomes(kernel.send("vxlan")), ["peer entry: drop"]);

  const { address } = PEER.subnet;
  rtnetlink.replaceNeighbours([{ interfaceIndex: index, address, mac: MAC }]);
  const remote = (remote: typeof OTHER) =>
    rtnetlink.replaceForwardingEntries([
      { interfaceIndex: index, mac: MAC, remote },
    ]);
  assertEquals(outcomes(kernel.send("vxlan")), ["peer entry: drop"]);
  remote(OTHER);
  assertEquals(outcomes(kernel.send("vxlan")), ["peer entry: drop"]);
  remote(PEER.publicIp);
  assertEquals(outcomes(kernel.send("vxlan")), ["peer entry: ok"]);
  assertEquals(kernel.receive("vxlan").traffic, { protocol: 17, port: 8472 });
});

Deno.test("vxlan with DirectRouting: the route leads to the peer, and nothing is encapsulated", () => {
  const kernel = new Kernel();
  kernel.route({ interfaceIndex: kernel.eth0, gateway: PEER.publicIp });
  const inspection = kernel.send("vxlan");
  assertEquals(outcomes(inspection), ["peer entry: ok"]);
  assertEquals(inspection.traffic, undefined);
});

Deno.test("wireguard: the device must have a key for the subnet", () => {
  const kernel = new Kernel();
  const { rtnetlink, wireguard } = kernel;
  assertEquals(outcomes(kernel.send("wireguard")), ["peer entry: drop"]);
  const { index } = rtnetlink.createWireguard({
    name: "flannel-wg",
    mtuBytes: 1420,
  });
  assertEquals(outcomes(kernel.send("wireguard")), ["peer entry: drop"]);
  wireguard.change(index, {
    putPeers: [{
      publicKey: new Uint8Array(32).fill(7).toBase64(),
      endpoint: { address: PEER.publicIp, port: 51820 },
      allowedIps: [PEER.subnet],
    }],
  });
  // Nothing was heard of it yet, which may be because nothing was sent.
  assertEquals(outcomes(kernel.send("wireguard")), ["peer entry: unknown"]);
});

for (const type of ["alloc", "extension"]) {
  Deno.test(`${type}: what carries the packets cannot be seen`, () => {
    assertEquals(outcomes(new Kernel().send(type)), ["peer entry: unknown"]);
  });
}

/** A host with the kernel data path. */
function kernelPath(): { kernel: Kernel; peers: BpfMap } {
  const kernel = new Kernel();
  const { bpf, rtnetlink } = kernel;
  const { link, peer } = rtnetlink.createVethPair({
    name: "flannel0",
    peerName: "flannel0p",
    mac: OWNER.mac,
    peerMac: OWNER.peerMac,
    mtuBytes: 1472,
    peerMtuBytes: 1472,
    alias: ALIAS,
  });
  const maps = newMaps(bpf);
  const attach = (
    role: Parameters<typeof programName>[0],
    index: number,
    direction: "ingress" | "egress",
  ) =>
    bpf.attach(
      index,
      direction,
      bpf.loadProgram({
        name: programName(role, OWNER.suffix),
        type: "schedCls",
        maps,
        build: () => [loadMap(R1, "loden_peers"), mov(R0, 0), exit()],
      }),
    );
  attach("egress", link.index, "egress");
  attach("hop", peer.index, "ingress");
  attach("ingress", kernel.eth0, "ingress");
  return { kernel, peers: maps.loden_peers };
}

Deno.test("udp, kernel: programs are attached, and the entry is that of the peer", () => {
  const { kernel, peers } = kernelPath();
  const put = (entry: { deadlineNs?: bigint; address?: typeof OTHER } = {}) =>
    peers.update(
      peerKey(PEER.subnet),
      encodePeer({
        address: PEER.publicIp,
        interfaceIndex: kernel.eth0,
        flags: 0,
        slot: 1,
        deadlineNs: 0n,
        ...entry,
      }),
    );
  const both =
    () => [outcomes(kernel.send("udp")), outcomes(kernel.receive("udp"))];
  assertEquals(both()[0], ["program: ok", "peer entry: drop"]);
  put();
  assertEquals(both(), [
    ["program: ok", "peer entry: ok"],
    ["program: ok", "peer entry: ok"],
  ]);
  put({ deadlineNs: NOW_NS + 1n });
  assertEquals(both()[0], ["program: ok", "peer entry: ok"]);
  put({ deadlineNs: NOW_NS });
  assertEquals(both(), [
    ["program: ok", "peer entry: drop"],
    ["program: ok", "peer entry: drop"],
  ]);
  put({ address: OTHER });
  assertEquals(both()[0], ["program: ok", "peer entry: drop"]);
  assertEquals(outcomes(kernel.send("udp", { ...PEER, isSaved: true })), [
    "program: ok",
    "peer entry: unknown",
  ]);
});

Deno.test("udp, kernel: a program that is not attached is missed", () => {
  const { kernel } = kernelPath();
  assertEquals(kernel.receive("udp").bypassesFirewall, true);
  const { bpf, eth0 } = kernel;
  for (const each of bpf.attachedPrograms(eth0, "ingress")) {
    bpf.detach(eth0, "ingress", each);
  }
  assertEquals(outcomes(kernel.receive("udp"))[0], "program: drop");
});

Deno.test("udp, user space: outer packets cross the host's firewall", () => {
  assertEquals(new Kernel().send("udp"), {
    findings: [],
    traffic: { protocol: 17, port: 8285 },
    checksSenders: true,
  });
});
