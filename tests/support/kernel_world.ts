/**
 * The data path's WASM kernel on a memory of its own, with packets in and out as
 * plain bytes.
 *
 * @module
 */

import * as layout from "../../backend/udp/tun/layout.ts";
import {
  compilePacketKernel,
  instantiatePacketKernel,
  type PacketKernel,
} from "../../backend/udp/tun/packet_kernel.ts";
import { takePeerTable } from "../../backend/udp/tun/peer_table_switch.ts";
import {
  SharedState,
  type SharedStateOptions,
} from "../../backend/udp/tun/shared_state.ts";
import { PacketMemory } from "../../linux/packet_memory.ts";
import { type Cidr, parseCidr } from "../../net/cidr.ts";
import { type Ipv4, parseIpv4 } from "../../net/ipv4.ts";
import type { Peer, PeerDiff } from "../../net/peer.ts";
import { gather } from "./gather.ts";
import {
  formatVnetHeader,
  parseVnetHeader,
  type VnetHeader,
} from "./slow_packets.ts";

export const address = (text: string): Ipv4 => parseIpv4(text)!;
export const network = (text: string): Cidr => parseCidr(text)!;

/** A peer with the least that one needs. */
export function peer(subnet: string, publicIp: string): Peer {
  return {
    subnet: network(subnet),
    publicIp: address(publicIp),
    backendType: "udp",
    stale: false,
  };
}

/** The diff that adds peers and does nothing else. */
export function added(...peers: readonly Peer[]): PeerDiff {
  return { added: peers, changed: [], removed: [] };
}

export const OWN_SUBNET = "10.1.1.0/24";
export const PEERS: readonly Peer[] = [
  peer("10.1.2.0/24", "192.0.2.2"),
  peer("10.1.3.0/24", "192.0.2.3"),
];

const DEFAULTS: SharedStateOptions = {
  network: network("10.1.0.0/16"),
  subnet: network(OWN_SUBNET),
  senderCheck: "strict",
  mtuBytes: 1_472,
  coalesceTcp: true,
  coalesceUdp: true,
};

/** What `transmit` makes of a packet. */
export interface Transmitted {
  /** One of TRANSMIT_*. */
  readonly verdict: number;
  readonly peer: number;
  /** What goes on the wire; unchanged bytes where nothing does. */
  readonly packets: Uint8Array[];
}

/** What is to be written to the TUN at once. */
export interface TunRecord {
  readonly vnet: VnetHeader;
  readonly packet: Uint8Array;
  /** Packets in it, as the kernel says. */
  readonly packets: number;
}

/** Datagrams of one receive: all of one length but the last. */
export interface Received {
  readonly sender: Ipv4;
  readonly datagrams: readonly Uint8Array[];
}

/** See the module's text. */
export class KernelWorld {
  readonly state: SharedState;
  readonly memory: PacketMemory;
  readonly kernel: PacketKernel;

  constructor(
    options: Partial<SharedStateOptions> = {},
    peers: readonly Peer[] = PEERS,
  ) {
    this.state = new SharedState({ ...DEFAULTS, ...options });
    this.state.changePeers(added(...peers));
    this.memory = new PacketMemory(this.state.memory);
    this.kernel = instantiatePacketKernel(kernelModule(), this.memory);
    takePeerTable(this.memory, this.kernel, layout.CONTROL_TABLE_ACTIVE);
  }

  /** The counters that are not 0. */
  counters(): { [name: string]: number } {
    return Object.fromEntries(
      Object.entries(this.state.counters()).filter(([, value]) => value !== 0),
    );
  }

  /** @param room Packets for each call of `cut`. */
  transmit(
    vnet: VnetHeader,
    packet: Uint8Array,
    room: number = layout.MAX_SEGMENTS,
  ): Transmitted {
    const { kernel, memory } = this;
    const at = layout.TX_BUFFER;
    const ip = at + layout.VNET_HEADER_BYTES;
    memory.bytes.set(formatVnetHeader(vnet), at);
    memory.bytes.set(packet, ip);
    const verdict = kernel.transmit(at, ip, packet.length);
    const peer = memory.words[layout.RESULT_PEER_ADDRESS >> 2]!;
    if (verdict !== layout.TRANSMIT_SUPER) {
      return {
        verdict,
        peer,
        packets: [memory.bytes.slice(ip, ip + packet.length)],
      };
    }
    const packets: Uint8Array[] = [];
    for (;;) {
      const count = kernel.cut(0, 0, room);
      if (count === 0) return { verdict, peer, packets };
      for (let i = 0; i < count; i++) {
        packets.push(this.gathered(layout.TX_IOV + i * 32, 2));
      }
    }
  }

  /** One round of receives; fits into the buffers of one round. */
  receive(...batches: readonly Received[]): TunRecord[] {
    const { kernel, memory } = this;
    kernel.beginReceive();
    let at: number = layout.RX_BUFFER;
    for (const { sender, datagrams } of batches) {
      const bytes = datagrams.reduce((sum, { length }) => sum + length, 0);
      let end = at;
      for (const datagram of datagrams) {
        memory.bytes.set(datagram, end);
        end += datagram.length;
      }
      const done = kernel.receive(
        at,
        bytes,
        datagrams[0]?.length ?? 0,
        sender,
      );
      if (done !== bytes) throw new Error(`looked at ${done} of ${bytes}`);
      at = end;
    }
    return this.records();
  }

  /** Ends a round. */
  records(): TunRecord[] {
    const { words, bytes } = this.memory;
    const count = this.kernel.endReceive();
    return Array.from({ length: count }, (_, index) => {
      const record = layout.RX_RECORDS + index * layout.RX_RECORD_STRIDE;
      const iovecs = words[(record + layout.RECORD_IOV) >> 2]!;
      const iovecCount = words[(record + layout.RECORD_IOV_COUNT) >> 2]!;
      const whole = this.gathered(iovecs, iovecCount);
      const vnet = record + layout.RECORD_VNET;
      return {
        vnet: parseVnetHeader(
          bytes.slice(vnet, vnet + layout.VNET_HEADER_BYTES),
        ),
        packet: whole.slice(layout.VNET_HEADER_BYTES),
        packets: words[(record + layout.RECORD_PACKETS) >> 2]!,
      };
    });
  }

  /** The bytes that iovecs name. Throws when they lie outside the memory. */
  gathered(iovecs: number, count: number): Uint8Array {
    return gather(this.memory, iovecs, count);
  }
}

let compiled: WebAssembly.Module | undefined;

function kernelModule(): WebAssembly.Module {
  return compiled ??= compilePacketKernel();
}
