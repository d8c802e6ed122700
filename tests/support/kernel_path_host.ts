/**
 * A host of the real kernel in a network namespace of a test's own: underlay
 * devices, the wires behind them, and packets that go through.
 *
 * A wire is the other end of an underlay device, without an address: what the
 * host sends is read there, and what shall arrive is put there.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { kernelParts } from "../../backend/udp/kernel_parts.ts";
import {
  UdpBackend,
  type UdpBackendOptions,
  type UdpBackendParts,
} from "../../backend/udp/udp_backend.ts";
import type { BackendContext } from "../../backend/backend.ts";
import { KernelBpf } from "../../linux/bpf/kernel_bpf.ts";
import { addressOf, checked, libc } from "../../linux/libc.ts";
import { KernelEthtool } from "../../linux/ethtool.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import type { Link } from "../../linux/netlink/rtnetlink.ts";
import { KernelPacketPort } from "../../linux/packet_socket.ts";
import { underlayMtu } from "../../net/mtu.ts";
import { formatIpv4 } from "../../net/ipv4.ts";
import { formatMac } from "../../net/mac.ts";
import type { DataPathName, Peer } from "../../net/peer.ts";
import { runSync } from "../contract/in_namespace.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { address, network, peer } from "./kernel_world.ts";
import { untilOperUp } from "./oper_up.ts";
import { outerPacket } from "./outer_packet.ts";
import { somePayload, udpPacket } from "./packet_builder.ts";
import { AF_INET, SOCK_DGRAM, socketAddress } from "./socket_address.ts";

/** The network that these hosts are of, unless told. */
export const PREFIX_ALIAS = "loden:/kernel-path-test";
export const PORT = 8285;
/** Of the underlay. */
export const OWN_ADDRESS = "192.0.2.1";
/** What neighbours have on every wire. */
const NEIGHBOUR_MAC = "02:00:5e:00:53:99";
/** What one can be given in its place. */
export const OTHER_MAC = "02:00:5e:00:53:98";

const AF_PACKET = 17;
const SOCK_RAW = 3;
const ETH_P_ALL = 3;
const MSG_DONTWAIT = 0x40;
const PATIENCE_ROUNDS = 2_000;
const ETHERNET_BYTES = 14;
const OUTER_BYTES = 28;

/** Runs `ip` with the words of a line. */
export const ip = (line: string): string => runSync("ip", line.split(" "));

/** `B` of the tests: the peer that packets go to and come from. */
export const REMOTE = "192.0.2.2";
export const PEERS: readonly Peer[] = [
  { ...peer("10.1.2.0/24", REMOTE), dataPath: "ebpf" },
  { ...peer("10.1.3.0/24", "192.0.2.3"), dataPath: "ebpf" },
];

/** Kinds of devices above `eth0`. */
export type StackKind = "bond" | "bridge" | "vlan" | "macvlan";

/** What came out of a wire. */
export interface OuterDatagram {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  /** Of the neighbour that it is for. */
  readonly destinationMac: string;
  readonly payload: Uint8Array;
}

/** Reads what a host sends by a device. */
class Wire implements Disposable {
  readonly link: Link;
  readonly #descriptor: number;
  readonly #buffer = new Uint8Array(65_536);

  constructor(link: Link) {
    this.link = link;
    this.#descriptor = checked(
      libc().socket(AF_PACKET, SOCK_RAW, ETH_P_ALL << 8),
      "create a packet socket",
    );
    const name = new DataView(new ArrayBuffer(20));
    name.setUint16(0, AF_PACKET, true);
    name.setUint16(2, ETH_P_ALL);
    name.setInt32(4, link.index, true);
    checked(
      libc().bind(this.#descriptor, addressOf(name), name.byteLength),
      "bind to the wire",
    );
  }

  /** The next datagram to `port` that a neighbour would get. */
  read(port: number): OuterDatagram | undefined {
    for (;;) {
      const length = libc().recv(
        this.#descriptor,
        addressOf(this.#buffer),
        this.#buffer.length,
        MSG_DONTWAIT,
      );
      if (length < 0) return undefined;
      const frame = this.#buffer.slice(0, length);
      const view = new DataView(frame.buffer);
      const destinationMac = formatMac(frame.subarray(0, 6));
      if (
        ![NEIGHBOUR_MAC, OTHER_MAC].includes(destinationMac) ||
        view.getUint16(12) !== 0x0800 || frame[23] !== 17 ||
        view.getUint16(36) !== port
      ) continue;
      return {
        source: [...frame.subarray(26, 30)].join("."),
        destination: [...frame.subarray(30, 34)].join("."),
        sourcePort: view.getUint16(34),
        destinationMac,
        payload: frame.slice(ETHERNET_BYTES + OUTER_BYTES),
      };
    }
  }

  [Symbol.dispose](): void {
    libc().close(this.#descriptor);
  }
}

/** A UDP socket of the host. */
class HostSocket implements Disposable {
  readonly #descriptor: number;
  readonly #buffer = new Uint8Array(65_536);

  constructor(own: string, port: number) {
    this.#descriptor = checked(
      libc().socket(AF_INET, SOCK_DGRAM, 0),
      "make a socket",
    );
    const name = socketAddress(own, port);
    checked(
      libc().bind(this.#descriptor, addressOf(name), name.length),
      `bind ${own}:${port}`,
    );
  }

  send(to: string, port: number, payload: Uint8Array): void {
    const name = socketAddress(to, port);
    checked(
      libc().sendto(
        this.#descriptor,
        addressOf(payload),
        payload.length,
        0,
        addressOf(name),
        name.length,
      ),
      `send to ${to}`,
    );
  }

  receive(): Uint8Array | undefined {
    const length = libc().recv(
      this.#descriptor,
      addressOf(this.#buffer),
      this.#buffer.length,
      MSG_DONTWAIT,
    );
    return length < 0 ? undefined : this.#buffer.slice(0, length);
  }

  [Symbol.dispose](): void {
    libc().close(this.#descriptor);
  }
}

/** Waits for something to be there. */
export async function eventually<Value>(
  what: string,
  look: () => Value | undefined | false,
): Promise<Value> {
  for (let round = 0; round < PATIENCE_ROUNDS; round++) {
    const value = look();
    if (value !== undefined && value !== false) return value;
    await delay(2);
  }
  throw new Error(`not seen: ${what}`);
}

/** What an overlay has of its own. */
export interface OverlayOf {
  readonly alias: string;
  readonly port: number;
  /** `10.1`: the network is 10.1.0.0/16, the host's subnet 10.1.1.0/24. */
  readonly net: string;
}

export const FIRST: OverlayOf = {
  alias: PREFIX_ALIAS,
  port: PORT,
  net: "10.1",
};
/** Another network on the same host. */
export const SECOND: OverlayOf = {
  alias: "loden:/kernel-path-other",
  port: 9_000,
  net: "10.2",
};

/** See the module. Everything goes with {@linkcode KernelPathHost.clean}. */
export class KernelPathHost {
  readonly rtnetlink: KernelRtnetlink = new KernelRtnetlink();
  readonly clock: FakeClock = new FakeClock();
  /** To look, not to change. */
  readonly bpf: KernelBpf = new KernelBpf();
  readonly ethtool: KernelEthtool = new KernelEthtool();
  readonly #packets = new KernelPacketPort();
  readonly #wires = new Map<string, Wire>();
  readonly #parts: UdpBackendParts;
  #backends: UdpBackend[] = [];

  constructor() {
    const parts = kernelParts(this.rtnetlink, this.clock);
    this.#parts = { ...parts, ethtool: this.ethtool };
  }

  /** Plugs in an underlay device, with its wire, and neighbours behind it. */
  plugIn(
    name = "eth0",
    own = `${OWN_ADDRESS}/24`,
    neighbours: readonly string[] = [REMOTE, "192.0.2.3"],
    queues = 1,
  ): Link {
    const count = `numtxqueues ${queues} numrxqueues ${queues}`;
    ip(`link add ${name} ${count} type veth peer name ${name}w ${count}`);
    ip(`address add ${own} dev ${name}`);
    ip(`link set ${name} up`);
    ip(`link set ${name}w up`);
    for (const neighbour of neighbours) this.addNeighbour(name, neighbour);
    const [link, wire] = [this.link(name), this.link(`${name}w`)];
    untilOperUp(this.rtnetlink, [link.index, wire.index]);
    this.#wires.get(name)?.[Symbol.dispose]();
    this.#wires.set(name, new Wire(wire));
    return this.link(name);
  }

  /**
   * Puts another device above `eth0`: `uplink`, which takes over its address and
   * its neighbours. With a bond, a bridge or a macvlan the wire is that of
   * `eth0`.
   */
  stack(kind: StackKind): Link {
    const wire = kind === "vlan" ? "eth0w7" : "eth0w";
    ip("address flush dev eth0");
    switch (kind) {
      case "bond":
        ip("link add uplink type bond mode active-backup miimon 100");
        ip("link set eth0 down");
        ip("link set eth0 master uplink");
        break;
      case "bridge":
        ip("link add uplink type bridge");
        ip("link set eth0 master uplink");
        break;
      case "vlan":
        ip("link add link eth0 name uplink type vlan id 7");
        ip(`link add link eth0w name ${wire} type vlan id 7`);
        ip(`link set ${wire} up`);
        break;
      case "macvlan":
        ip("link add link eth0 name uplink type macvlan mode bridge");
    }
    ip(`address add ${OWN_ADDRESS}/24 dev uplink`);
    ip("link set uplink up");
    for (const { publicIp } of PEERS) {
      this.addNeighbour("uplink", formatIpv4(publicIp));
    }
    const links = [this.link("uplink"), this.link(wire)];
    untilOperUp(this.rtnetlink, links.map(({ index }) => index));
    this.#wires.set("uplink", new Wire(links[1]!));
    return this.link("uplink");
  }

  addNeighbour(
    device: string,
    neighbour: string,
    mac: string = NEIGHBOUR_MAC,
  ): void {
    ip(
      `neighbour replace ${neighbour} lladdr ${mac} dev ${device} nud permanent`,
    );
  }

  link(name: string): Link {
    const found = this.rtnetlink.links().find((link) => link.name === name);
    if (found === undefined) throw new Error(`no device ${name}`);
    return found;
  }

  has(name: string): boolean {
    return this.rtnetlink.links().some((link) => link.name === name);
  }

  context(net = FIRST.net, device = "eth0"): BackendContext {
    const { index, mac } = this.link(device);
    const own = address(OWN_ADDRESS);
    return {
      network: network(`${net}.0.0/16`),
      subnet: network(`${net}.1.0/24`),
      underlay: {
        interfaceName: device,
        interfaceIndex: index,
        address: own,
        publicIp: own,
        mtuBytes: underlayMtu(1_500),
        mac,
      },
    };
  }

  /** A backend that is stopped with the host. */
  backend(
    options: Partial<UdpBackendOptions> = {},
    parts: Partial<UdpBackendParts> = {},
    of: OverlayOf = FIRST,
  ): UdpBackend {
    const backend = new UdpBackend(
      { ...this.#parts, ...parts },
      {
        port: of.port,
        device: "flannel%d",
        deviceAlias: of.alias,
        dataPath: "ebpf",
        receive: "auto",
        senderCheck: "strict",
        checksInterface: true,
        sourcePort: "auto",
        disabledFeatures: [],
        ...options,
      },
    );
    this.#backends.push(backend);
    return backend;
  }

  /** A started backend, with peers. */
  async start(
    options: Partial<UdpBackendOptions> = {},
    peers: readonly Peer[] = PEERS,
    of: OverlayOf = FIRST,
  ): Promise<UdpBackend> {
    const backend = this.backend(options, {}, of);
    await backend.start(this.context(of.net), new AbortController().signal);
    await backend.apply({ added: peers, changed: [], removed: [] });
    return backend;
  }

  async stop(backend: UdpBackend): Promise<void> {
    this.#backends = this.#backends.filter((one) => one !== backend);
    await backend.stop();
  }

  /** Stops agents, and removes devices and routes. */
  async clean(): Promise<void> {
    for (const backend of this.#backends) await backend.stop();
    this.#backends = [];
    for (const wire of this.#wires.values()) wire[Symbol.dispose]();
    this.#wires.clear();
    for (const { index, name } of this.rtnetlink.links()) {
      if (/^(eth|uplink|sink|flannel)/.test(name)) {
        this.rtnetlink.deleteLink(index);
      }
    }
    ip("-4 route flush table main");
    const opened = [this.rtnetlink, this.bpf, this.ethtool, this.#packets];
    for (const one of opened) one[Symbol.dispose]();
  }

  /** One packet of the host to a container of a peer: where it came out. */
  async sendOut(
    to = "10.1.2.7",
    device = "eth0",
    of: OverlayOf = FIRST,
    fromPort = 2_000,
    payloadBytes = 500,
  ): Promise<OuterDatagram> {
    using socket = new HostSocket(`${of.net}.1.0`, fromPort);
    const wire = this.#wires.get(device)!;
    while (wire.read(of.port) !== undefined);
    const payload = somePayload(payloadBytes, Math.floor(Math.random() * 250));
    socket.send(to, 2_000, payload);
    const outer = await eventually(
      `a packet to ${to} at ${device}`,
      () => wire.read(of.port),
    );
    const inner = outer.payload;
    if (inner.subarray(28).toHex() !== payload.toHex()) {
      throw new Error(`another payload: ${inner.toHex()}`);
    }
    return outer;
  }

  /** Puts a packet of a peer's container on the wire; whether the host got it. */
  async takesIn(
    from = "10.1.2.7",
    holder = REMOTE,
    device = "eth0",
    of: OverlayOf = FIRST,
    payloadBytes = 300,
  ): Promise<boolean> {
    using socket = new HostSocket(`${of.net}.1.0`, 2_000);
    const payload = somePayload(payloadBytes, 3);
    this.inject(from, holder, payload, device, of);
    for (let round = 0; round < 100; round++) {
      const got = socket.receive();
      if (got !== undefined) return got.toHex() === payload.toHex();
      await delay(1);
    }
    return false;
  }

  inject(
    from: string,
    holder: string,
    payload: Uint8Array,
    device = "eth0",
    of: OverlayOf = FIRST,
  ): void {
    const outer = outerPacket({
      source: holder,
      destination: OWN_ADDRESS,
      sourcePort: of.port,
      port: of.port,
      payload: udpPacket({
        source: address(from),
        destination: address(`${of.net}.1.0`),
        sourcePort: 2_000,
        destinationPort: 2_000,
        payload,
      }),
    });
    this.injectPacket(outer, device);
  }

  /** Puts an IPv4 packet on the wire, for the host. */
  injectPacket(outer: Uint8Array, device = "eth0"): void {
    const frame = new Uint8Array(ETHERNET_BYTES + outer.length);
    frame.set(this.link(device).mac, 0);
    frame.set(Uint8Array.fromHex(NEIGHBOUR_MAC.replaceAll(":", "")), 6);
    frame.set([8, 0], 12);
    frame.set(outer, ETHERNET_BYTES);
    const sent = this.#packets.sendFrame(
      this.#wires.get(device)!.link.index,
      frame,
    );
    if (sent < 0) throw new Error(`not sent: ${sent}`);
  }

  /** Both ways, with the peer that is told. Throws when nothing moves. */
  async proveThatPacketsFlow(
    device = "eth0",
    of: OverlayOf = FIRST,
    holder = REMOTE,
  ): Promise<void> {
    const container = `${of.net}.2.7`;
    const { source, destination } = await this.sendOut(container, device, of);
    if (source !== OWN_ADDRESS || destination !== holder) {
      throw new Error(`sent from ${source} to ${destination}`);
    }
    if (!await this.takesIn(container, holder, device, of)) {
      throw new Error(`nothing came in by ${device} from ${holder}`);
    }
  }

  /** What runs at all devices: `eth0 ingress loden_rx tcx`, suffixes cut off. */
  attached(): string[] {
    return this.rtnetlink.links().flatMap(({ index, name }) => {
      const xdp = this.bpf.xdp(index);
      using program = xdp && this.bpf.openProgram(xdp.id);
      return [
        ...(["ingress", "egress"] as const).flatMap((direction) =>
          this.bpf.attachedPrograms(index, direction).map((one) =>
            `${name} ${direction} ${withoutSuffix(one.name)} ${one.how}`
          )
        ),
        ...(program ? [`${name} xdp ${withoutSuffix(program.name)}`] : []),
      ];
    }).sort();
  }

  /** Ids of all attached programs. */
  ids(): number[] {
    return this.rtnetlink.links().flatMap(({ index }) => [
      ...(["ingress", "egress"] as const).flatMap((direction) =>
        this.bpf.attachedPrograms(index, direction).map(({ id }) => id)
      ),
      ...[this.bpf.xdp(index)?.id ?? []].flat(),
    ]);
  }

  /** Routes of the main table, sorted, without those of the underlay. */
  routes(): string[] {
    return ip("-4 route show").trim().split("\n").map((line) =>
      line.trim().replace(/ metric \d+/, "").replace(/ linkdown/, "")
        .replace(/ onlink/, "")
    ).filter((line) => line !== "" && !line.includes("proto kernel")).sort();
  }
}

function withoutSuffix(name: string): string {
  return name.replace(/^(loden_\w+)_[0-9a-f]{5}$/, "$1");
}

/** A test on a host with `eth0`, which is removed afterwards. */
export function testOnHost(
  name: string,
  run: (host: KernelPathHost) => Promise<void>,
): void {
  Deno.test(name, async () => {
    const host = new KernelPathHost();
    try {
      host.plugIn();
      await run(host);
    } finally {
      await host.clean();
    }
  });
}

/** Descriptors of programs and maps that this process holds. */
export function openBpfDescriptors(): string[] {
  return [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    try {
      const target = Deno.readLinkSync(`/proc/self/fd/${name}`);
      return /bpf/.test(target) ? [target] : [];
    } catch {
      // The directory's own descriptor, which is closed by now.
      return [];
    }
  });
}

/** A peer of a data path, or of flannel. */
export function peerOf(
  subnet: string,
  holder: string,
  dataPath?: DataPathName,
): Peer {
  const one = peer(subnet, holder);
  return dataPath === undefined ? one : { ...one, dataPath };
}
