/**
 * Loden's programs and maps in the kernel, as text.
 *
 * Maps are decoded, never dumped: an address in a hexadecimal dump would not be
 * found by what replaces addresses.
 *
 * @module
 */

import {
  PROGRAM_COUNTERS,
  readProgramCounters,
} from "../../backend/udp/ebpf/counters.ts";
import { decodePeer, MAPS, subnetOfKey } from "../../backend/udp/ebpf/maps.ts";
import type { Ownership } from "../../backend/udp/ebpf/ownership.ts";
import type { RemovalParts } from "../../backend/udp/ebpf/remove.ts";
import { ownXdp } from "../../backend/udp/ebpf/attachments.ts";
import { describeError, LodenError } from "../../errors.ts";
import type { Bpf, BpfMap, MapType } from "../../linux/bpf/bpf.ts";
import { KernelBpf } from "../../linux/bpf/kernel_bpf.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import type { Link } from "../../linux/netlink/rtnetlink.ts";
import { formatCidr } from "../../net/cidr.ts";
import { formatIpv4 } from "../../net/ipv4.ts";

/** Of this host. */
export function describePrograms(ownership: Ownership): string {
  using rtnetlink = new KernelRtnetlink();
  using bpf = new KernelBpf();
  return describeKernel({ rtnetlink, bpf }, ownership);
}

/** First the places of all programs, then the maps that those of Loden use. */
export function describeKernel(
  { bpf, rtnetlink }: RemovalParts,
  { suffix }: Ownership,
): string {
  const links = rtnetlink.links();
  const places = links.flatMap((link) => placesAt(bpf, link, suffix));
  const maps = new Set(
    places.filter(({ name }) => name.startsWith("loden_"))
      .flatMap(({ mapIds }) => mapIds),
  );
  return [
    "# programs at devices",
    ...places.map(({ text }) => text),
    ...places.length === 0 ? ["none"] : [],
    ...[...maps].flatMap((id) => describeMap(bpf, id, links)),
    "",
  ].join("\n");
}

interface Place {
  readonly name: string;
  readonly text: string;
  readonly mapIds: readonly number[];
}

function placesAt(bpf: Bpf, link: Link, suffix: string): Place[] {
  const places: Place[] = [];
  for (const direction of ["ingress", "egress"] as const) {
    for (
      const { how, id, name } of bpf.attachedPrograms(link.index, direction)
    ) {
      places.push(placeOf(bpf, id, `${link.name} ${direction} ${how}`, name));
    }
  }
  const xdp = bpf.xdp(link.index);
  if (xdp !== undefined) {
    const own = ownXdp(bpf, link.index, suffix) ? ", of this network" : "";
    places.push(placeOf(bpf, xdp.id, `${link.name} xdp ${xdp.mode}${own}`));
  }
  return places;
}

function placeOf(bpf: Bpf, id: number, where: string, known?: string): Place {
  using program = bpf.openProgram(id);
  const name = program?.name ?? known ?? "gone";
  const mapIds = program?.mapIds ?? [];
  const rest = program === undefined
    ? ""
    : `, tag ${program.tag}, maps ${mapIds.join(" ") || "none"}`;
  return { name, mapIds, text: `${where}: program ${id} ${name}${rest}` };
}

/** In the others, all entries are always there, or they have none. */
const COUNTED: readonly MapType[] = [
  "hash",
  "percpuHash",
  "lruHash",
  "lpmTrie",
];

/** A map that cannot be read does not hide the others. */
function describeMap(bpf: Bpf, id: number, links: readonly Link[]): string[] {
  try {
    using map = bpf.openMap(id);
    if (map === undefined) return ["", `# map ${id}: gone`];
    const { keyBytes, maxEntries, name, type, valueBytes } = map;
    const used = COUNTED.includes(type) ? `, ${map.entries().length} used` : "";
    return [
      "",
      `# map ${id} ${name}: ${type}, key ${keyBytes} bytes, value ` +
      `${valueBytes} bytes, at most ${maxEntries} entries${used}`,
      ...describeEntries(map, links),
    ];
  } catch (error) {
    if (!(error instanceof LodenError)) throw error;
    return ["", `# map ${id}: ${describeError(error)}`];
  }
}

/** Of another layout, nothing is known about the bytes. */
function describeEntries(map: BpfMap, links: readonly Link[]): string[] {
  if (isMap(map, MAPS.loden_peers)) {
    return map.entries().map(({ key, value }) => {
      const peer = decodePeer(value);
      const device = links.find(({ index }) => index === peer.interfaceIndex);
      return `${formatCidr(subnetOfKey(key))} by ${formatIpv4(peer.address)} ` +
        `over ${device?.name ?? peer.interfaceIndex}, flags ${peer.flags}, ` +
        `slot ${peer.slot}, deadline ${peer.deadlineNs} ns`;
    });
  }
  if (isMap(map, MAPS.loden_counters)) {
    const [block] = map.entries();
    if (block === undefined) return [];
    const values = readProgramCounters(block.value);
    return PROGRAM_COUNTERS.map((name) => `${name} ${values[name]}`);
  }
  return [];
}

function isMap(
  map: BpfMap,
  { name, valueBytes }: typeof MAPS[keyof typeof MAPS],
) {
  return map.name === name && map.valueBytes === valueBytes;
}
