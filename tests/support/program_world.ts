/**
 * The programs of the kernel data path with their maps, run on one frame at a
 * time (`BPF_PROG_TEST_RUN`). Nothing is attached anywhere unless a test does so.
 *
 * A run pretends that the frame has come in through the loopback device of the
 * network namespace: only a frame for that device's hardware address is for this
 * host (`net/bpf/test_run.c`).
 *
 * @module
 */

import {
  type ProgramCounter,
  readProgramCounters,
} from "../../backend/udp/ebpf/counters.ts";
import { hasDecapUdp } from "../../backend/udp/ebpf/decap_udp.ts";
import {
  encodePeer,
  type Maps,
  PEER_FLAG,
  peerKey,
  TRAFFIC,
} from "../../backend/udp/ebpf/maps.ts";
import type { HostConstants } from "../../backend/udp/ebpf/programs/constants.ts";
import type { Delivery } from "../../backend/udp/ebpf/programs/decapsulate.ts";
import {
  egressProgram,
  hopProgram,
  ingressProgram,
  xdpProgram,
} from "../../backend/udp/ebpf/programs/programs.ts";
import type { BpfProgram } from "../../linux/bpf/bpf.ts";
import type { HelperName } from "../../linux/bpf/helpers.ts";
import {
  call,
  type Instruction,
  mov,
  R0,
} from "../../linux/bpf/instructions.ts";
import { KernelBpf } from "../../linux/bpf/kernel_bpf.ts";
import { ERRNO } from "../../linux/errno.ts";
import { sumPerCpu } from "../../linux/bpf/per_cpu.ts";
import { ipv4ToBytes } from "../../net/ipv4.ts";
import type { Peer } from "../../net/peer.ts";
import { newMaps } from "./ebpf_world.ts";
import { address, network, OWN_SUBNET, PEERS } from "./kernel_world.ts";

/** The addresses of the underlay device: give the loopback device the MAC. */
export const UNDERLAY = {
  address: "192.0.2.1",
  port: 8285,
  mac: "02:4c:6f:00:00:01",
} as const;
/** Of `flannel0`. */
export const DEVICE_MAC = "02:4c:6f:00:00:02";
/** Of the other end: the loopback's too, as its frames come in there as well. */
export const DEVICE_PEER_MAC: string = UNDERLAY.mac;

/** The `__sk_buff` fields that a run may set, `linux/bpf.h`. */
const CONTEXT = {
  BYTES: 192,
  INTERFACE: 40,
  GSO_SEGMENTS: 164,
  GSO_SIZE: 176,
} as const;
/** By which a run's packets arrive unless told otherwise. */
const LOOPBACK = 1;

/** What the worlds' host is, unless told otherwise. */
export const PROGRAM_HOST: HostConstants = {
  suffix: "1a2b3",
  mark: 0x4c6f_6465,
  subnet: network(OWN_SUBNET),
  underlayAddress: address(UNDERLAY.address),
  port: UNDERLAY.port,
  sourcePort: "fixed",
  senderCheck: "strict",
  checksInterface: true,
  device: { interfaceIndex: 11, mac: macBytes(DEVICE_MAC) },
  hop: { interfaceIndex: 10, mac: macBytes(DEVICE_PEER_MAC) },
  cutUdp: false,
  decapUdp: false,
  recordsDrops: true,
};

/** A peer and what the programs shall know of it beside. */
export interface ProgramPeer extends Peer {
  /** Bits of {@linkcode PEER_FLAG}; none by default. */
  readonly flags?: number;
  /** CLOCK_BOOTTIME; never by default. */
  readonly deadlineNs?: bigint;
  /** By which it is reached; the loopback by default. */
  readonly interfaceIndex?: number;
}

/** Which program. */
export type ProgramRole = "tx" | "hop" | "rx" | "xdp";

/** What the packet is made of, where it is a super-packet. */
export interface Offload {
  readonly segments?: number;
  readonly segmentBytes?: number;
  /** By which it arrives. */
  readonly interfaceIndex?: number;
}

/** What a program has made of a frame. */
export interface ProgramRun {
  /** As the program gave it: -1 is NEXT. */
  readonly verdict: number;
  /** The frame as it is now; of `xdp` with what stands in front of it. */
  readonly frame: Uint8Array;
  /** By how much they have grown, see {@linkcode growth}. */
  readonly counters: Readonly<Record<string, number>>;
}

/** Whether this kernel has `decap-udp`; asked once. */
let hasDecap: boolean | undefined;

function isCall(each: Instruction, helper: HelperName | undefined): boolean {
  if (helper === undefined || each.kind !== "operation") return false;
  const { immediate, opcode, src } = call(helper);
  return each.opcode === opcode && each.src === src &&
    each.immediate === immediate;
}

/**
 * See the module. Programs get an error from the helper that is `refused`, as in
 * a driver that cannot do what it does.
 */
export class ProgramWorld implements Disposable {
  readonly host: HostConstants;
  readonly maps: Maps;
  readonly #bpf = new KernelBpf();
  readonly #programs: Readonly<Record<ProgramRole, BpfProgram>>;
  readonly #owned = new DisposableStack();

  constructor(
    host: Partial<HostConstants> = {},
    peers: readonly ProgramPeer[] = PEERS,
    delivery: Delivery = "direct",
    refused?: HelperName,
  ) {
    this.#owned.use(this.#bpf);
    this.host = {
      ...PROGRAM_HOST,
      decapUdp: hasDecap ??= hasDecapUdp(this.#bpf),
      ...host,
    };
    this.maps = newMaps(this.#bpf);
    for (const map of Object.values(this.maps)) this.#owned.use(map);
    peers.forEach((peer, index) => this.put(peer, index + 1));
    const load = (spec: ReturnType<typeof egressProgram>) =>
      this.#owned.use(this.#bpf.loadProgram({
        ...spec,
        build: () =>
          spec.build().map((each) =>
            isCall(each, refused) ? mov(R0, -ERRNO.EOPNOTSUPP) : each
          ),
      }));
    this.#programs = {
      tx: load(egressProgram(this.host, this.maps)),
      hop: load(hopProgram(this.host, this.maps)),
      rx: load(ingressProgram(this.host, delivery, this.maps)),
      xdp: load(xdpProgram(this.host, macBytes(UNDERLAY.mac), this.maps)),
    };
  }

  /** Lets the programs know a peer, with the counters of `slot`. */
  put(peer: ProgramPeer, slot: number): void {
    this.maps.loden_peers.update(
      peerKey(peer.subnet),
      encodePeer({
        address: peer.publicIp,
        interfaceIndex: peer.interfaceIndex ?? LOOPBACK,
        flags: peer.flags ?? 0,
        slot,
        deadlineNs: peer.deadlineNs ?? 0n,
      }),
    );
    this.maps.loden_senders.update(
      ipv4ToBytes(peer.publicIp),
      new Uint8Array(
        Uint32Array.of(peer.interfaceIndex ?? LOOPBACK).buffer,
      ),
    );
  }

  run(role: ProgramRole, frame: Uint8Array, offload?: Offload): ProgramRun {
    const before = this.counters();
    const { data, returnValue } = this.#bpf.testRun(this.#programs[role], {
      data: frame,
      ...(offload === undefined ? {} : { context: contextOf(offload) }),
    });
    const counters = growth(before, this.counters());
    return { verdict: returnValue | 0, frame: data, counters };
  }

  /** Lets a program meet a frame many times in a row. */
  repeat(role: ProgramRole, frame: Uint8Array, times: number): void {
    this.#bpf.testRun(this.#programs[role], { data: frame, repeat: times });
  }

  /** How long one run takes, by the kernel's clock. */
  durationNs(role: ProgramRole, frame: Uint8Array): number {
    return this.#bpf.testRun(this.#programs[role], { data: frame }).durationNs;
  }

  /** Lets a program run at a device, until the device goes. */
  attach(role: ProgramRole, interfaceIndex: number): void {
    const program = this.#programs[role];
    if (role === "xdp") this.#bpf.setXdp(interfaceIndex, program);
    else {
      const direction = role === "tx" ? "egress" : "ingress";
      this.#bpf.attach(interfaceIndex, direction, program);
    }
  }

  /** What is counted for the peer of a slot. */
  traffic(slot: number): Record<keyof typeof TRAFFIC, number> {
    const key = new Uint8Array(Uint32Array.of(slot).buffer);
    const sums = sumPerCpu(this.maps.loden_traffic.lookup(key)!, 32);
    return {
      TX_PACKETS: sums[TRAFFIC.TX_PACKETS / 8]!,
      TX_BYTES: sums[TRAFFIC.TX_BYTES / 8]!,
      RX_PACKETS: sums[TRAFFIC.RX_PACKETS / 8]!,
      RX_BYTES: sums[TRAFFIC.RX_BYTES / 8]!,
    };
  }

  /** All counters, of all CPUs. */
  counters(): Record<ProgramCounter, number> {
    return readProgramCounters(
      this.maps.loden_counters.lookup(new Uint8Array(4))!,
    );
  }

  [Symbol.dispose](): void {
    this.#owned[Symbol.dispose]();
  }
}

/** By how much counters have grown; those that have not are left out. */
export function growth(
  before: Readonly<Record<ProgramCounter, number>>,
  after: Readonly<Record<ProgramCounter, number>>,
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(after)
      .map(([name, value]) => [name, value - before[name as ProgramCounter]!])
      .filter(([, difference]) => difference !== 0),
  );
}

/** The six bytes of `aa:bb:cc:dd:ee:ff`. */
export function macBytes(text: string): Uint8Array {
  return Uint8Array.from(text.split(":"), (byte) => parseInt(byte, 16));
}

/** A peer whose packets are cut before they are encapsulated. */
export function cutPeer(peer: Peer, withChecksum = false): ProgramPeer {
  const checksum = withChecksum ? PEER_FLAG.CHECKSUM : 0;
  return { ...peer, flags: PEER_FLAG.CUT | checksum };
}

function contextOf(
  { segments = 0, segmentBytes = 0, interfaceIndex = 0 }: Offload,
): Uint8Array {
  const view = new DataView(new ArrayBuffer(CONTEXT.BYTES));
  view.setUint32(CONTEXT.INTERFACE, interfaceIndex, true);
  view.setUint32(CONTEXT.GSO_SEGMENTS, segments, true);
  view.setUint32(CONTEXT.GSO_SIZE, segmentBytes, true);
  return new Uint8Array(view.buffer);
}
