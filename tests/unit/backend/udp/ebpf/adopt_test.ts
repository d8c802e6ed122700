import { assertEquals, assertThrows } from "@std/assert";
import { adoptMaps } from "../../../../../backend/udp/ebpf/adopt.ts";
import { MAPS, type Maps } from "../../../../../backend/udp/ebpf/maps.ts";
import {
  hopProgram,
  programName,
} from "../../../../../backend/udp/ebpf/programs/programs.ts";
import type { MapSpec } from "../../../../../linux/bpf/bpf.ts";
import { BadBpfSpecError, BpfError } from "../../../../../linux/bpf/errors.ts";
import {
  exit,
  loadMap,
  mov,
  R0,
  R1,
} from "../../../../../linux/bpf/instructions.ts";
import { ERRNO } from "../../../../../linux/errno.ts";
import { FakeBpf } from "../../../../fakes/fake_bpf.ts";
import { HOST, newMaps, OWNER } from "../../../../support/ebpf_world.ts";

const OTHER_END = 10;

/** An agent that has ended: its program runs on. */
function earlierAgent(bpf: FakeBpf): Readonly<Record<string, number>> {
  const maps = newMaps(bpf);
  using program = bpf.loadProgram(hopProgram(HOST, maps));
  bpf.attach(OTHER_END, "ingress", program);
  for (const map of Object.values(maps)) map[Symbol.dispose]();
  return idsOf(maps);
}

/** One of another version, which has these maps and no others. */
function earlierVersion(bpf: FakeBpf, specs: readonly MapSpec[]): number[] {
  const maps = specs.map((spec) => bpf.createMap(spec));
  using program = bpf.loadProgram({
    name: programName("hop", OWNER.suffix),
    type: "schedCls",
    maps: Object.fromEntries(maps.map((map) => [map.name, map])),
    build: () => [
      ...maps.flatMap(({ name }) => loadMap(R1, name)),
      mov(R0, 0),
      exit(),
    ],
  });
  bpf.attach(OTHER_END, "ingress", program);
  for (const map of maps) map[Symbol.dispose]();
  return maps.map(({ id }) => id);
}

function idsOf(maps: Maps): Record<string, number> {
  return Object.fromEntries(
    Object.entries(maps).map(([name, { id }]) => [name, id]),
  );
}

const adopt = (bpf: FakeBpf) => adoptMaps(bpf, OTHER_END, OWNER.suffix);
const dispose = (maps: Maps) => {
  for (const map of Object.values(maps)) map[Symbol.dispose]();
};

Deno.test("where nothing runs, all maps are made", () => {
  using bpf = new FakeBpf();
  const { maps, running } = adopt(bpf);
  assertEquals(running, "no");
  assertEquals(
    bpf.maps.map(({ spec }) => spec),
    Object.values(MAPS) as MapSpec[],
  );
  dispose(maps);
  assertEquals(bpf.maps, []);
});

Deno.test("the maps of a program that runs are taken over, all of them", () => {
  using bpf = new FakeBpf();
  const before = earlierAgent(bpf);
  const { maps, running } = adopt(bpf);
  assertEquals(running, "here");
  assertEquals(idsOf(maps), before);
  assertEquals(bpf.maps.length, Object.keys(MAPS).length);
});

Deno.test("what was taken over lives on when its program goes, and not longer than that", () => {
  using bpf = new FakeBpf();
  earlierAgent(bpf);
  const { maps } = adopt(bpf);
  bpf.removeInterface(OTHER_END);
  assertEquals([bpf.programs.length, bpf.maps.length], [
    0,
    Object.keys(MAPS).length,
  ]);
  dispose(maps);
  assertEquals(bpf.maps, []);
});

const OTHERS: readonly [string, Partial<MapSpec>][] = [
  ["longer keys", { keyBytes: 12 }],
  ["longer values", { valueBytes: 32 }],
  ["another size", { maxEntries: 1 << 10 }],
  ["another name", { name: "loden_holders" }],
];
for (const [what, change] of OTHERS) {
  Deno.test(`peers in a map with ${what} are copied: a new map is made, and the old program runs on`, () => {
    using bpf = new FakeBpf();
    const [peersId, countersId] = earlierVersion(bpf, [
      { ...MAPS.loden_peers, ...change },
      MAPS.loden_counters,
    ]);
    const { maps, running } = adopt(bpf);
    assertEquals(running, "elsewhere");
    assertEquals(maps.loden_peers.id === peersId, false);
    assertEquals(maps.loden_counters.id, countersId);
    const ids = bpf.attachedPrograms(OTHER_END, "ingress").length;
    assertEquals(ids, 1);
  });
}

Deno.test("peers of this version are taken over although other maps are another version's", () => {
  using bpf = new FakeBpf();
  const [peersId, trafficId] = earlierVersion(bpf, [
    MAPS.loden_peers,
    { ...MAPS.loden_traffic, maxEntries: 16 },
  ]);
  const { maps, running } = adopt(bpf);
  assertEquals(running, "here");
  assertEquals(maps.loden_peers.id, peersId);
  assertEquals(maps.loden_traffic.id === trafficId, false);
});

Deno.test("a program of another name tells of no maps", () => {
  using bpf = new FakeBpf();
  earlierAgent(bpf);
  const { maps, running } = adoptMaps(bpf, OTHER_END, "00000");
  assertEquals(running, "no");
  assertEquals(bpf.maps.length, 2 * Object.keys(MAPS).length);
  dispose(maps);
});

Deno.test("a later version's maps of an unknown kind are no obstacle", () => {
  using bpf = new FakeBpf();
  const [ringId, peersId] = earlierVersion(bpf, [
    {
      name: "loden_ring",
      type: "hash",
      keyBytes: 4,
      valueBytes: 4,
      maxEntries: 1,
    },
    MAPS.loden_peers,
  ]);
  const openMap = bpf.openMap.bind(bpf);
  bpf.openMap = (id) => {
    if (id !== ringId) return openMap(id);
    throw new BadBpfSpecError("open the map", "its type must be known", 27);
  };
  const { maps, running } = adopt(bpf);
  assertEquals([running, maps.loden_peers.id], ["here", peersId]);
});

Deno.test("a map that cannot be made leaves none of the others open", () => {
  for (let made = 0; made < 4; made++) {
    using bpf = new FakeBpf();
    const createMap = bpf.createMap.bind(bpf);
    let left = made;
    bpf.createMap = (spec) => {
      if (left-- > 0) return createMap(spec);
      throw new BpfError(`create the map ${spec.name}`, ERRNO.ENOSPC);
    };
    assertThrows(() => adopt(bpf), BpfError, "ENOSPC");
    assertEquals(bpf.maps, []);
  }
});

Deno.test("maps that were found are closed when another one cannot be made", () => {
  using bpf = new FakeBpf();
  earlierVersion(bpf, [MAPS.loden_peers]);
  bpf.failWith("createMap", new BpfError("make a map", ERRNO.EPERM));
  assertThrows(() => adopt(bpf), BpfError, "EPERM");
  bpf.removeInterface(OTHER_END);
  assertEquals([bpf.programs.length, bpf.maps.length], [0, 0]);
});

Deno.test("maps that are not taken over are not kept", () => {
  using bpf = new FakeBpf();
  earlierVersion(bpf, [{ ...MAPS.loden_peers, keyBytes: 12 }]);
  const { maps } = adopt(bpf);
  bpf.removeInterface(OTHER_END);
  assertEquals(
    bpf.maps.map(({ id }) => id).sort(),
    Object.values(idsOf(maps)).sort(),
  );
});
