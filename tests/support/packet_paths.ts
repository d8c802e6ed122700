/**
 * Both data paths as one packet at a time sees them: what comes in, and what
 * becomes of it.
 *
 * @module
 */

import { frameOf } from "../../backend/udp/ebpf/slow_path.ts";
import { VERDICT } from "../../backend/udp/ebpf/programs/layout.ts";
import { PROGRAM_COUNTERS } from "../../backend/udp/ebpf/counters.ts";
import { CONTROL_TABLE_ACTIVE } from "../../backend/udp/tun/layout.ts";
import { takePeerTable } from "../../backend/udp/tun/peer_table_switch.ts";
import type { SenderCheck } from "../../backend/udp/data_path.ts";
import type { Cidr } from "../../net/cidr.ts";
import { type Ipv4, ipv4FromBytes } from "../../net/ipv4.ts";
import { type HostSocket, socketReceives } from "./host_socket.ts";
import { added, address, network } from "./kernel_world.ts";
import { PathWorld } from "./path_world.ts";
import {
  DEVICE_MAC,
  macBytes,
  type ProgramPeer,
  type ProgramRun,
  ProgramWorld,
  UNDERLAY,
} from "./program_world.ts";

/**
 * What has become of a packet: `delivered` into the overlay device, `sent` to a
 * peer, `left` to the host (which has no socket for it), or the counter of those
 * that are dropped for the same reason.
 */
export interface Fate {
  readonly outcome: string;
  /** The overlay's packet as it goes on. */
  readonly packet?: Uint8Array;
  /** To whom it is sent. */
  readonly peer?: Ipv4;
  /** Of those that both paths have, and the user-space path's for spent TTLs. */
  readonly counters: Readonly<Record<string, number>>;
}

/** Who is there. */
export interface Surroundings {
  readonly network: Cidr;
  readonly subnet: Cidr;
  readonly peers: readonly ProgramPeer[];
  readonly senderCheck: SenderCheck;
}

/** A data path. */
export interface PacketPath extends Disposable {
  /** A frame arrives at the underlay device. */
  receive(frame: Uint8Array): Fate;
  /** The host routes a packet into the overlay device. */
  send(packet: Uint8Array): Fate;
}

/** The socket on the underlay, of either path. */
export const SOCKET: HostSocket = {
  mac: macBytes(UNDERLAY.mac),
  address: address(UNDERLAY.address),
  port: UNDERLAY.port,
};

const ETHERNET_BYTES = 14;
const OUTER_BYTES = 28;
const IPV4_TYPE = [0x08, 0x00];
const TOTAL_LENGTH = 2;

const NETWORK = network("10.1.0.0/16");
const COMPARED = new Set<string>([
  ...PROGRAM_COUNTERS,
  "rx.drop.ttl",
  "tx.drop.ttl",
]);

/** {@linkcode Surroundings} that are enough for most packets. */
export function surroundings(
  peers: readonly ProgramPeer[],
  senderCheck: SenderCheck = "strict",
): Surroundings {
  return {
    network: NETWORK,
    subnet: network("10.1.1.0/24"),
    peers,
    senderCheck,
  };
}

/** The workers' code between a TUN and a socket in memory. */
export class UserSpacePath implements PacketPath {
  readonly #world: PathWorld;

  constructor({ network, subnet, peers, senderCheck }: Surroundings) {
    this.#world = new PathWorld({ network, subnet, senderCheck });
    const { kernel, memory, state } = this.#world;
    state.changePeers(added(...peers));
    takePeerTable(memory, kernel, CONTROL_TABLE_ACTIVE);
  }

  receive(frame: Uint8Array): Fate {
    const datagram = socketReceives(frame, SOCKET);
    if (datagram === undefined) return { outcome: "left", counters: {} };
    return this.judge(datagram.address, datagram.payload);
  }

  /** What becomes of a datagram, wherever the host has it from. */
  judge(sender: Ipv4, datagram: Uint8Array): Fate {
    const { tun, udp } = this.#world;
    const counters = this.#counted(() => {
      udp.arrive(sender, datagram);
      this.#world.receiveAll();
    });
    const [written] = tun.written.splice(0);
    return fate(counters, written && { packet: written.packet });
  }

  send(packet: Uint8Array): Fate {
    const { tun, udp } = this.#world;
    const counters = this.#counted(() => {
      tun.enqueue(packet);
      this.#world.transmitAll();
    });
    const [sent] = udp.sent.splice(0);
    return fate(
      counters,
      sent && { packet: sent.datagrams[0]!, peer: sent.peer as Ipv4 },
    );
  }

  [Symbol.dispose](): void {}

  #counted(act: () => void): Record<string, number> {
    const before = this.#world.state.counters();
    act();
    return Object.fromEntries(
      Object.entries(this.#world.state.counters())
        .map(([name, value]) => [name, value - before[name]!] as const)
        .filter(([name, growth]) => growth !== 0 && COMPARED.has(name)),
    );
  }
}

/** The programs, and the agent's socket for what they leave to the host. */
export class ProgramPath implements PacketPath {
  readonly world: ProgramWorld;

  constructor(
    { peers, senderCheck, subnet }: Surroundings,
    { cutUdp = false }: { readonly cutUdp?: boolean } = {},
  ) {
    this.world = new ProgramWorld({ subnet, senderCheck, cutUdp }, peers);
  }

  receive(frame: Uint8Array): Fate {
    let run = this.world.run("rx", frame);
    if (run.verdict === VERDICT.NEXT) {
      const datagram = socketReceives(frame, SOCKET);
      if (datagram === undefined) return fate(run.counters);
      // As the slow path does it.
      const again = frameOf(datagram, this.world.host);
      again.set(SOCKET.mac);
      run = this.world.run("rx", again);
    }
    if (run.verdict !== VERDICT.REDIRECT) return fate(run.counters);
    return fate(run.counters, { packet: unpadded(run.frame) });
  }

  /** Whether the ingress program itself does not want it. */
  leaves(frame: Uint8Array): boolean {
    return this.world.run("rx", frame).verdict === VERDICT.NEXT;
  }

  send(packet: Uint8Array): Fate {
    const { run } = this.encapsulate(packet);
    if (run.verdict !== VERDICT.REDIRECT) return fate(run.counters);
    const outer = run.frame.subarray(ETHERNET_BYTES);
    return fate(run.counters, {
      packet: outer.slice(OUTER_BYTES),
      peer: ipv4FromBytes(outer, 16),
    });
  }

  /** What the last program has made of it, and whether it went through the pair. */
  encapsulate(packet: Uint8Array): { run: ProgramRun; cut: boolean } {
    const frame = overlayFrame(packet);
    const run = this.world.run("tx", frame);
    if (run.verdict !== VERDICT.NEXT) return { run, cut: false };
    const behind = this.world.run("hop", frame);
    const counters = { ...run.counters, ...behind.counters };
    return { run: { ...behind, counters }, cut: true };
  }

  [Symbol.dispose](): void {
    this.world[Symbol.dispose]();
  }
}

/** A packet as the host gives it to the overlay device. */
export function overlayFrame(
  packet: Uint8Array,
  etherType: readonly number[] = IPV4_TYPE,
): Uint8Array {
  const mac = macBytes(DEVICE_MAC);
  return Uint8Array.of(...mac, ...mac, ...etherType, ...packet);
}

/** The packet of a frame, as long as it says: frames may be padded. */
export function unpadded(frame: Uint8Array): Uint8Array {
  const packet = frame.slice(ETHERNET_BYTES);
  return packet.slice(0, new DataView(packet.buffer).getUint16(TOTAL_LENGTH));
}

function fate(
  counters: Readonly<Record<string, number>>,
  gone: { packet: Uint8Array; peer?: Ipv4 } | undefined = undefined,
): Fate {
  const dropped = Object.keys(counters).filter((name) =>
    name.includes(".drop.") || name === "rx.legacySignals"
  );
  if (dropped.length > 1 || (dropped.length === 1 && gone !== undefined)) {
    throw new Error(`more than one fate: ${JSON.stringify(counters)}`);
  }
  if (gone === undefined) return { outcome: dropped[0] ?? "left", counters };
  const outcome = gone.peer === undefined ? "delivered" : "sent";
  return { outcome, counters, ...gone };
}
