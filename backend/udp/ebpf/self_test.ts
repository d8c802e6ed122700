/**
 * Tests that programs on this kernel really pass a packet.
 *
 * A kernel may load a program and execute it differently. Before programs are
 * attached, one packet is sent in each direction through copies with maps of
 * their own (`BPF_PROG_TEST_RUN`), and the result is compared.
 *
 * @module
 */

import { equals } from "@std/bytes/equals";
import type { Bpf, BpfMap } from "../../../linux/bpf/bpf.ts";
import { internetChecksum } from "../../../net/checksum.ts";
import { type Cidr, cidrOf } from "../../../net/cidr.ts";
import { type Ipv4, toIpv4 } from "../../../net/ipv4.ts";
import { TestPacketLostError } from "./errors.ts";
import {
  encodePeer,
  isForDrops,
  type MapName,
  MAPS,
  type Maps,
  peerKey,
} from "./maps.ts";
import type { HostConstants } from "./programs/constants.ts";
import {
  DONT_FRAGMENT,
  ETHERNET,
  ETHERTYPE_IPV4,
  INNER_IP,
  IPV4,
  OUTER_IP,
  PLAIN_IPV4,
  PROTOCOL,
  VERDICT,
} from "./programs/layout.ts";
import { egressProgram, ingressProgram } from "./programs/programs.ts";
import { frameOf } from "./slow_path.ts";

/** TEST-NET-1 and TEST-NET-2 (RFC 5737): used by no host. */
const PEER_ADDRESS = toIpv4(0xc000_0201);
const PEER_SUBNET: Cidr = cidrOf(toIpv4(0xc633_6400), 24);
const PAYLOAD_BYTES = 64;

/** Throws {@linkcode TestPacketLostError}, and what the kernel refuses. */
export function passTestPackets(bpf: Bpf, host: HostConstants): void {
  using opened = new DisposableStack();
  const maps = makeMaps(bpf, opened);
  const peer = {
    address: PEER_ADDRESS,
    interfaceIndex: host.device.interfaceIndex,
    flags: 0,
    slot: 0,
    deadlineNs: 0n,
  };
  maps.loden_peers.update(peerKey(PEER_SUBNET), encodePeer(peer));
  const ours = toIpv4(host.subnet.address + 1);
  const theirs = toIpv4(PEER_SUBNET.address + 1);

  // A test run uses a device without a MAC address, which leads to no peer, and
  // on which UDP is not segmented.
  const mac = new Uint8Array(6);
  const copy = {
    ...host,
    cutUdp: false,
    checksInterface: false,
    recordsDrops: false,
    device: { ...host.device, mac },
  };
  const egress = opened.use(bpf.loadProgram(egressProgram(copy, maps)));
  const sent = ipv4Packet(ours, theirs);
  const out = bpf.testRun(egress, { data: frame(sent) });
  if (
    out.returnValue !== VERDICT.REDIRECT ||
    !equals(out.data.subarray(INNER_IP), sent) ||
    destination(out.data) !== PEER_ADDRESS
  ) {
    throw new TestPacketLostError("to the underlay", out.returnValue);
  }

  const ingress = opened.use(
    bpf.loadProgram(ingressProgram(copy, "direct", maps)),
  );
  const received = ipv4Packet(theirs, ours);
  const into = bpf.testRun(ingress, {
    data: frameOf({
      payload: received,
      address: PEER_ADDRESS,
      port: host.port,
    }, host),
  });
  if (
    into.returnValue !== VERDICT.REDIRECT ||
    !equals(into.data.subarray(ETHERNET.BYTES), received)
  ) {
    throw new TestPacketLostError("from the underlay", into.returnValue);
  }
}

/** Small maps, which disappear after the test. */
function makeMaps(bpf: Bpf, opened: DisposableStack): Maps {
  return Object.fromEntries(
    Object.entries(MAPS).filter(([name]) => !isForDrops(name)).map((
      [name, spec],
    ) => [
      name,
      opened.use(bpf.createMap({ ...spec, maxEntries: 1 })),
    ]),
  ) as Record<MapName, BpfMap>;
}

function ipv4Packet(source: Ipv4, destination: Ipv4): Uint8Array {
  const packet = new Uint8Array(IPV4.BYTES + PAYLOAD_BYTES);
  const view = new DataView(packet.buffer);
  view.setUint8(IPV4.VERSION_AND_LENGTH, PLAIN_IPV4);
  view.setUint16(IPV4.TOTAL_LENGTH, packet.length);
  view.setUint16(IPV4.FRAGMENT, DONT_FRAGMENT);
  view.setUint8(IPV4.TTL, 64);
  view.setUint8(IPV4.PROTOCOL, PROTOCOL.UDP);
  view.setUint32(IPV4.SOURCE, source);
  view.setUint32(IPV4.DESTINATION, destination);
  view.setUint16(
    IPV4.CHECKSUM,
    internetChecksum(packet.subarray(0, IPV4.BYTES)),
  );
  return packet;
}

function frame(packet: Uint8Array): Uint8Array {
  const frame = new Uint8Array(ETHERNET.BYTES + packet.length);
  new DataView(frame.buffer).setUint16(ETHERNET.TYPE, ETHERTYPE_IPV4);
  frame.set(packet, ETHERNET.BYTES);
  return frame;
}

function destination(frame: Uint8Array): number {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  return view.getUint32(OUTER_IP + IPV4.DESTINATION);
}
