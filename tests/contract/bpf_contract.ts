/**
 * What every {@linkcode Bpf} does. Run on the kernel's and on the fake.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import type {
  Bpf,
  BpfMap,
  BpfProgram,
  Direction,
  MapSpec,
  ProgramType,
} from "../../linux/bpf/bpf.ts";
import {
  BadBpfSpecError,
  BadInstructionError,
} from "../../linux/bpf/errors.ts";
import {
  exit,
  goto,
  loadMap,
  loadMapValue,
  mov,
  R0,
  R1,
} from "../../linux/bpf/instructions.ts";
import { ERRNO, SystemCallError } from "../../linux/errno.ts";

/** A network namespace, and eBPF in it. */
export interface BpfWorld extends Disposable {
  /** Another one after {@linkcode setTcx}. */
  readonly bpf: Bpf;
  /** How many values a map per CPU has. */
  readonly cpus: number;
  /** A device whose driver knows no XDP. */
  readonly plainDevice: number;
  /** Plugs in a device whose driver knows XDP; its index. */
  addDevice(): number;
  removeDevice(interfaceIndex: number): void;
  /** Whether programs are attached by `tcx` or by `clsact`. */
  setTcx(on: boolean): void;
}

const ABSENT_ID = 0x7fff_ffff;
const DIRECTIONS: readonly Direction[] = ["ingress", "egress"];

const HASH: MapSpec = {
  name: "loden_hash",
  type: "hash",
  keyBytes: 4,
  valueBytes: 2,
  maxEntries: 3,
};
const TRIE: MapSpec = {
  name: "loden_trie",
  type: "lpmTrie",
  keyBytes: 8,
  valueBytes: 1,
  maxEntries: 8,
};

const RING: MapSpec = {
  name: "loden_ring",
  type: "ringBuffer",
  keyBytes: 0,
  valueBytes: 0,
  maxEntries: 1 << 16,
};

const key = (number: number) => new Uint8Array(Uint32Array.of(number).buffer);
/** A trie's key: `10.1.2.0/24`. */
const prefix = (text: string) => {
  const [address, bits] = text.split("/");
  const bytes = new Uint8Array(8);
  bytes.set(key(Number(bits)));
  bytes.set(address!.split(".").map(Number), 4);
  return bytes;
};
const bytes = (...values: number[]) => Uint8Array.from(values);

/** The entries, by the digits of their keys. */
function byKey(map: BpfMap): Record<string, string> {
  return Object.fromEntries(
    map.entries().map(({ key, value }) => [key.toHex(), value.toHex()]).sort(),
  );
}

function refusal(call: () => unknown): number {
  return assertThrows(call, SystemCallError).errno;
}

/** A program that lets everything pass. */
function passAll(
  bpf: Bpf,
  name = "loden_pass",
  type: ProgramType = "schedCls",
): BpfProgram {
  // TC_ACT_UNSPEC: the next program decides. XDP_PASS.
  const verdict = type === "schedCls" ? -1 : 2;
  return bpf.loadProgram({
    name,
    type,
    build: () => [mov(R0, verdict), exit()],
  });
}

/** What not every kernel has; tests of what is missing are ignored. */
export interface BpfTraits {
  /** Since Linux 6.6. */
  readonly tcx: boolean;
  /** Batches of changes to an LPM trie; Linux 5.10 does not have them. */
  readonly trieBatches: boolean;
}

/** Registers the tests; `makeWorld` makes a new world for each. */
export function bpfContract(
  implementation: string,
  makeWorld: () => BpfWorld,
  { tcx, trieBatches }: BpfTraits = { tcx: true, trieBatches: true },
): void {
  const registrar = (ignore: boolean): RegisterTest => (sentence, prove) =>
    Deno.test({
      name: `${implementation} ${sentence}`,
      ignore,
      fn() {
        using world = makeWorld();
        prove(world);
      },
    });
  const test = registrar(false);
  const tcxTest = registrar(!tcx);

  mapTests(test, registrar(!trieBatches));
  programTests(test);
  attachTests(tcxTest, "tcx");
  attachTests(test, "clsact");
  switchTests(tcxTest);
  xdpTests(test);
}

type RegisterTest = (
  sentence: string,
  prove: (world: BpfWorld) => void,
) => void;

function mapTests(test: RegisterTest, trieBatchTest: RegisterTest): void {
  test("makes a map that is what it was asked for", ({ bpf }) => {
    using map = bpf.createMap(HASH);
    assertEquals(
      [map.name, map.type, map.keyBytes, map.valueBytes, map.maxEntries],
      ["loden_hash", "hash", 4, 2, 3],
    );
    assert(map.id > 0);
    assert(map.descriptor > 2);
    assertEquals(map.entries(), []);
  });

  test("puts, finds, changes and removes entries of a hash", ({ bpf }) => {
    using map = bpf.createMap(HASH);
    assertEquals(map.lookup(key(1)), undefined);
    map.update(key(1), bytes(1, 2));
    map.update(key(2), bytes(3, 4));
    map.update(key(1), bytes(5, 6));
    assertEquals(map.lookup(key(1)), bytes(5, 6));
    assertEquals(byKey(map), { "01000000": "0506", "02000000": "0304" });
    assertEquals([map.delete(key(1)), map.delete(key(1))], [true, false]);
    assertEquals(byKey(map), { "02000000": "0304" });
  });

  test("keeps its own copies of keys and values", ({ bpf }) => {
    using map = bpf.createMap(HASH);
    const [mine, value] = [key(1), bytes(1, 2)];
    map.update(mine, value);
    mine.fill(9);
    value.fill(9);
    map.lookup(key(1))!.fill(7);
    map.entries()[0]!.value.fill(7);
    assertEquals(map.lookup(key(1)), bytes(1, 2));
  });

  test("makes or changes an entry only as far as it is allowed to", ({ bpf }) => {
    using map = bpf.createMap(HASH);
    const put = (mode: "create" | "exist") =>
      map.update(key(1), bytes(1, 2), mode);
    assertEquals(refusal(() => put("exist")), ERRNO.ENOENT);
    put("create");
    assertEquals(refusal(() => put("create")), ERRNO.EEXIST);
    put("exist");
  });

  test("puts nothing new into a hash that is full", ({ bpf }) => {
    using map = bpf.createMap(HASH);
    for (const number of [1, 2, 3]) map.update(key(number), bytes(0, number));
    assertEquals(
      refusal(() => map.update(key(4), bytes(0, 0))),
      ERRNO.E2BIG,
    );
    map.update(key(3), bytes(7, 7));
    assertEquals(map.lookup(key(3)), bytes(7, 7));
  });

  test("finds a prefix by the longest that holds the address", ({ bpf }) => {
    using map = bpf.createMap(TRIE);
    map.update(prefix("10.1.0.0/16"), bytes(16));
    map.update(prefix("10.1.2.0/24"), bytes(24));
    map.update(prefix("10.1.2.3/32"), bytes(32));
    const found = (address: string) => map.lookup(prefix(`${address}/32`));
    assertEquals(found("10.1.9.9"), bytes(16));
    assertEquals(found("10.1.2.9"), bytes(24));
    assertEquals(found("10.1.2.3"), bytes(32));
    assertEquals(found("10.2.0.0"), undefined);
    // A shorter question has no longer answer.
    assertEquals(map.lookup(prefix("10.1.2.0/23")), bytes(16));
  });

  test("changes and removes a prefix and no other", ({ bpf }) => {
    using map = bpf.createMap(TRIE);
    map.update(prefix("10.1.0.0/16"), bytes(16));
    map.update(prefix("10.1.2.0/24"), bytes(24));
    // Bits behind the prefix do not count.
    map.update(prefix("10.1.2.77/24"), bytes(25));
    assertEquals(map.entries().length, 2);
    assertEquals(map.lookup(prefix("10.1.2.3/32")), bytes(25));
    assertEquals(map.delete(prefix("10.1.2.0/25")), false);
    assertEquals(map.delete(prefix("10.1.2.0/24")), true);
    assertEquals(map.lookup(prefix("10.1.2.3/32")), bytes(16));
  });

  test("lists the prefixes of a trie with their own values", ({ bpf }) => {
    using map = bpf.createMap(TRIE);
    map.update(prefix("10.1.0.0/16"), bytes(16));
    map.update(prefix("10.1.0.0/24"), bytes(24));
    map.update(prefix("0.0.0.0/0"), bytes(1));
    assertEquals(byKey(map), {
      "0000000000000000": "01",
      "100000000a010000": "10",
      "180000000a010000": "18",
    });
  });

  test("refuses a prefix of more bits than an address has, and one too many", ({ bpf }) => {
    using map = bpf.createMap({ ...TRIE, maxEntries: 1 });
    assertEquals(
      refusal(() => map.update(prefix("10.1.2.3/33"), bytes(0))),
      ERRNO.EINVAL,
    );
    map.update(prefix("10.1.0.0/16"), bytes(16));
    assertEquals(
      refusal(() => map.update(prefix("10.2.0.0/16"), bytes(16))),
      ERRNO.ENOSPC,
    );
  });

  test("has all entries of an array from the start, and no others", ({ bpf }) => {
    using map = bpf.createMap({ ...HASH, type: "array", maxEntries: 2 });
    assertEquals(byKey(map), { "00000000": "0000", "01000000": "0000" });
    map.update(key(1), bytes(1, 2));
    assertEquals(map.lookup(key(1)), bytes(1, 2));
    assertEquals(map.lookup(key(2)), undefined);
    assertEquals(
      refusal(() => map.update(key(2), bytes(0, 0))),
      ERRNO.E2BIG,
    );
    assertEquals(
      refusal(() => map.update(key(1), bytes(0, 0), "create")),
      ERRNO.EEXIST,
    );
    assertEquals(refusal(() => map.delete(key(1))), ERRNO.EINVAL);
  });

  for (const type of ["percpuArray", "percpuHash"] as const) {
    test(`keeps a value per CPU in a ${type}`, ({ bpf, cpus }) => {
      using map = bpf.createMap({ ...HASH, type, valueBytes: 12 });
      const value = new Uint8Array(16 * cpus);
      for (let cpu = 0; cpu < cpus; cpu++) {
        value.fill(cpu + 1, cpu * 16, cpu * 16 + 12);
      }
      map.update(key(1), value);
      const found = map.lookup(key(1))!;
      assertEquals(found.length, value.length);
      // The padding after a value belongs to no field.
      const values = (all: Uint8Array) =>
        Array.from(
          { length: cpus },
          (_, cpu) => all.slice(cpu * 16, cpu * 16 + 12),
        );
      assertEquals(values(found), values(value));
    });
  }

  test("makes room in a map of the least recently used", ({ bpf }) => {
    using map = bpf.createMap({ ...HASH, type: "lruHash" });
    for (let number = 0; number < 500; number++) {
      map.update(key(number), bytes(0, 0));
    }
    assert(map.entries().length < 500);
    assertEquals(map.lookup(key(499)), bytes(0, 0));
  });

  for (const spec of [HASH, TRIE, { ...HASH, type: "array" as const }]) {
    const batchTest = spec.type === "lpmTrie" ? trieBatchTest : test;
    batchTest(
      `puts many entries into a map of type ${spec.type} at once`,
      ({ bpf }) => {
        using map = bpf.createMap({ ...spec, maxEntries: 1000 });
        const value = (number: number) =>
          new Uint8Array(map.valueBytes).fill(number);
        const entries = Array.from({ length: 1000 }, (_, number) => ({
          key: spec.type === "lpmTrie"
            ? prefix(`10.${number >> 8}.${number & 255}.0/24`)
            : key(number),
          value: value(number),
        }));
        map.updateMany(entries);
        assertEquals(map.entries().length, 1000);
        for (const { key, value } of entries) {
          assertEquals(map.lookup(key), value);
        }
        map.updateMany([{ key: entries[3]!.key, value: value(7) }]);
        assertEquals(map.lookup(entries[3]!.key), value(7));
        map.updateMany([]);
      },
    );
  }

  test("says why when there are too many entries to put at once", ({ bpf }) => {
    using map = bpf.createMap(HASH);
    const entries = [1, 2, 3, 4].map((number) => ({
      key: key(number),
      value: bytes(0, number),
    }));
    assertEquals(refusal(() => map.updateMany(entries)), ERRNO.E2BIG);
    assertEquals(map.entries().length, 3);
  });

  test("refuses keys and values of another length", ({ bpf }) => {
    using map = bpf.createMap(HASH);
    const error = assertThrows(
      () => map.update(key(1), bytes(1)),
      BadBpfSpecError,
    );
    assertEquals(
      error.message,
      "Cannot use the map loden_hash: a value must have 2 bytes: current value is 1",
    );
    const wrongKey = bytes(1, 2, 3);
    const value = bytes(1, 2);
    const pair = { key: key(1), value };
    for (
      const call of [
        () => map.lookup(wrongKey),
        () => map.delete(wrongKey),
        () => map.update(wrongKey, value),
        () => map.updateMany([pair, { key: wrongKey, value }]),
        () => map.updateMany([pair, { key: key(1), value: bytes(1, 2, 3) }]),
      ]
    ) assertThrows(call, BadBpfSpecError);
  });

  test("refuses a map that cannot be, in words", ({ bpf }) => {
    for (
      const [spec, rule] of [
        [{ name: "loden-hash" }, "1 to 15 letters"],
        [{ name: "sixteen_letters_" }, "1 to 15 letters"],
        [{ name: "" }, "1 to 15 letters"],
        [{ maxEntries: 0 }, "number of entries must be"],
        [{ maxEntries: 1.5 }, "number of entries must be"],
        [{ valueBytes: 0 }, "value must have 1 byte or more"],
        [{ keyBytes: 0 }, "key must have 1 to 512 bytes"],
        [{ keyBytes: 513 }, "key must have 1 to 512 bytes"],
        [{ type: "array", keyBytes: 8 }, "key of an array must have 4 bytes"],
        [{ type: "array", noPreallocate: true }, "memory from the start"],
        [{ type: "lpmTrie", keyBytes: 4 }, "key must have 5 to 260 bytes"],
      ] as const
    ) {
      const error = assertThrows(
        () => bpf.createMap({ ...HASH, ...spec }),
        BadBpfSpecError,
        rule,
      );
      assertEquals(error.code, "bpf.spec");
    }
  });

  test("opens a map again by its id, with its entries", ({ bpf }) => {
    using map = bpf.createMap({ ...HASH, noPreallocate: true });
    map.update(key(1), bytes(1, 2));
    using again = bpf.openMap(map.id)!;
    assertEquals(again.lookup(key(1)), bytes(1, 2));
    assertEquals(
      [again.id, again.name, again.type, again.maxEntries],
      [map.id, "loden_hash", "hash", 3],
    );
    assertNotEquals(again.descriptor, map.descriptor);
  });

  test("frees a map when its last descriptor is closed", ({ bpf }) => {
    const map = bpf.createMap(HASH);
    map[Symbol.dispose]();
    map[Symbol.dispose]();
    assertEquals(bpf.openMap(map.id), undefined);
    assertEquals(bpf.openMap(ABSENT_ID), undefined);
    assertEquals(refusal(() => map.lookup(key(1))), ERRNO.EBADF);
    assertEquals(refusal(() => map.entries()), ERRNO.EBADF);
  });

  test("does not take another map for one that was given back", ({ bpf }) => {
    const map = bpf.createMap(HASH);
    map[Symbol.dispose]();
    // In the kernel it has the same descriptor now.
    using other = bpf.createMap(HASH);
    assertEquals(refusal(() => map.entries()), ERRNO.EBADF);
    other.update(key(1), bytes(1, 2));
    for (
      const call of [
        () => map.lookup(key(1)),
        () => map.update(key(1), bytes(3, 4)),
        () => map.delete(key(1)),
        () => map.entries(),
      ]
    ) assertEquals(refusal(call), ERRNO.EBADF);
    assertEquals(other.lookup(key(1)), bytes(1, 2));
  });

  test("reads a ring buffer that is empty, also when its map was given back, and no other map", ({ bpf }) => {
    const map = bpf.createMap(RING);
    assertEquals(
      [map.type, map.keyBytes, map.valueBytes, map.maxEntries],
      ["ringBuffer", 0, 0, RING.maxEntries],
    );
    using ring = bpf.mapRing(map);
    map[Symbol.dispose]();
    assertEquals(ring.read(10), []);
    ring.discard();
    ring[Symbol.dispose]();
    assertEquals(ring.read(10), []);
    using other = bpf.createMap(HASH);
    assertThrows(() => bpf.mapRing(other), BadBpfSpecError);
  });

  test("refuses ring buffers that the kernel does not make", ({ bpf }) => {
    for (
      const change of [
        { maxEntries: 3 << 16 },
        { maxEntries: 1 << 15 },
        { keyBytes: 4 },
        { valueBytes: 4 },
        { noPreallocate: true },
      ]
    ) {
      assertThrows(
        () => bpf.createMap({ ...RING, ...change }),
        BadBpfSpecError,
      );
    }
  });
}

function programTests(test: RegisterTest): void {
  test("loads a program that knows its maps", ({ bpf }) => {
    using peers = bpf.createMap(TRIE);
    using counters = bpf.createMap({ ...HASH, type: "array", maxEntries: 1 });
    using unused = bpf.createMap(HASH);
    using program = bpf.loadProgram({
      name: "loden_tx",
      type: "schedCls",
      maps: { peers, counters, unused },
      build: () => [
        loadMap(R1, "peers"),
        loadMapValue(R1, "counters", 0),
        mov(R0, 0),
        exit(),
      ],
    });
    assertEquals(program.name, "loden_tx");
    assertMatch(program.tag, /^[0-9a-f]{16}$/);
    assertEquals(
      program.mapIds.toSorted((a, b) => a - b),
      [peers.id, counters.id],
    );
    using again = bpf.openProgram(program.id)!;
    assertEquals(
      [again.id, again.name, again.tag, again.mapIds],
      [program.id, program.name, program.tag, program.mapIds],
    );
    assertNotEquals(again.descriptor, program.descriptor);
  });

  test("gives equal programs equal tags, and different ones different tags", ({ bpf }) => {
    const load = (verdict: number) =>
      bpf.loadProgram({
        name: "loden_tx",
        type: "schedCls",
        build: () => [mov(R0, verdict), exit()],
      });
    using first = load(0);
    using second = load(0);
    using third = load(1);
    assertEquals(first.tag, second.tag);
    assertNotEquals(first.id, second.id);
    assertNotEquals(first.tag, third.tag);
  });

  test("keeps a map for as long as a program uses it", ({ bpf }) => {
    const map = bpf.createMap(HASH);
    map.update(key(1), bytes(1, 2));
    using program = bpf.loadProgram({
      name: "loden_tx",
      type: "schedCls",
      maps: { map },
      build: () => [loadMap(R1, "map"), mov(R0, 0), exit()],
    });
    map[Symbol.dispose]();
    using again = bpf.openMap(program.mapIds[0]!)!;
    assertEquals(again.lookup(key(1)), bytes(1, 2));
  });

  test("frees a program when it is closed and detached", ({ bpf }) => {
    const program = passAll(bpf);
    program[Symbol.dispose]();
    program[Symbol.dispose]();
    assertEquals(bpf.openProgram(program.id), undefined);
    assertEquals(bpf.openProgram(ABSENT_ID), undefined);
  });

  test("refuses a program that does not hold together, with the line", ({ bpf }) => {
    const error = assertThrows(
      () =>
        bpf.loadProgram({
          name: "loden_tx",
          type: "schedCls",
          build: () => [goto("nowhere"), exit()],
        }),
      BadInstructionError,
    );
    assertMatch(
      error.message,
      /^Cannot assemble "goto nowhere": .*, at tests\/contract\/bpf_contract\.ts:\d+$/,
    );
  });

  test("refuses a program's name that the kernel would", ({ bpf }) => {
    assertThrows(() => passAll(bpf, "loden tx"), BadBpfSpecError);
  });
}

function attachTests(test: RegisterTest, how: "tcx" | "clsact"): void {
  const attachTest = (
    sentence: string,
    prove: (bpf: Bpf, device: number, world: BpfWorld) => void,
  ) =>
    test(`${sentence}, by ${how}`, (world) => {
      world.setTcx(how === "tcx");
      prove(world.bpf, world.addDevice(), world);
    });

  attachTest(
    "lets programs run at a device in the order in which they came",
    (bpf, device) => {
      using first = passAll(bpf, "first");
      using second = passAll(bpf, "second");
      for (const direction of DIRECTIONS) {
        assertEquals(bpf.attachedPrograms(device, direction), []);
        assertEquals(bpf.attach(device, direction, first), {
          id: first.id,
          name: "first",
          how,
        });
        bpf.attach(device, direction, second);
        assertEquals(bpf.attachedPrograms(device, direction), [
          { id: first.id, name: "first", how },
          { id: second.id, name: "second", how },
        ]);
      }
    },
  );

  attachTest(
    "keeps an attached program after its descriptor is closed",
    (bpf, device) => {
      const program = passAll(bpf);
      bpf.attach(device, "egress", program);
      program[Symbol.dispose]();
      const [attached] = bpf.attachedPrograms(device, "egress");
      using again = bpf.openProgram(attached!.id)!;
      assertEquals(again.name, "loden_pass");
    },
  );

  attachTest("puts a program into the place of another", (bpf, device) => {
    using first = passAll(bpf, "first");
    using second = passAll(bpf, "second");
    using third = passAll(bpf, "third");
    const old = bpf.attach(device, "ingress", first);
    bpf.attach(device, "ingress", second);
    const replaced = bpf.attach(device, "ingress", third, { replace: old });
    assertEquals(replaced, { id: third.id, name: "third", how });
    assertEquals(
      bpf.attachedPrograms(device, "ingress").map(({ name }) => name),
      ["third", "second"],
    );
  });

  attachTest("replaces no program that does not run there", (bpf, device) => {
    using first = passAll(bpf, "first");
    using second = passAll(bpf, "second");
    const old = bpf.attach(device, "ingress", first);
    const attach = () => bpf.attach(device, "egress", second, { replace: old });
    assertEquals(refusal(attach), ERRNO.ENOENT);
    assertEquals(bpf.attachedPrograms(device, "egress"), []);
    assertEquals(bpf.attachedPrograms(device, "ingress"), [old]);
  });

  attachTest("lets a program run once at one place", (bpf, device) => {
    using program = passAll(bpf);
    const attached = bpf.attach(device, "ingress", program);
    const attach = () => bpf.attach(device, "ingress", program);
    assertEquals(refusal(attach), ERRNO.EEXIST);
    assertEquals(bpf.attachedPrograms(device, "ingress"), [attached]);
  });

  attachTest("takes away one program and no other", (bpf, device) => {
    using first = passAll(bpf, "first");
    using second = passAll(bpf, "second");
    const one = bpf.attach(device, "egress", first);
    const other = bpf.attach(device, "egress", second);
    assertEquals(bpf.detach(device, "ingress", one), false);
    assertEquals(bpf.detach(device, "egress", one), true);
    assertEquals(bpf.detach(device, "egress", one), false);
    assertEquals(bpf.attachedPrograms(device, "egress"), [other]);
    assertEquals(bpf.detach(device, "egress", other), true);
    assertEquals(bpf.attachedPrograms(device, "egress"), []);
  });

  attachTest(
    "finds nothing at a device that is gone, and puts nothing there",
    (bpf, device, world) => {
      using program = passAll(bpf);
      const attached = bpf.attach(device, "egress", program);
      world.removeDevice(device);
      assertEquals(bpf.attachedPrograms(device, "egress"), []);
      assertEquals(bpf.detach(device, "egress", attached), false);
      assertEquals(
        refusal(() => bpf.attach(device, "egress", program)),
        ERRNO.ENODEV,
      );
    },
  );
}

function switchTests(test: RegisterTest): void {
  for (const [from, to] of [["tcx", "clsact"], ["clsact", "tcx"]] as const) {
    test(`moves a program from ${from} to ${to}`, (world) => {
      const device = world.addDevice();
      world.setTcx(from === "tcx");
      const first = passAll(world.bpf, "first");
      world.bpf.attach(device, "egress", first);
      first[Symbol.dispose]();
      world.setTcx(to === "tcx");
      const [old] = world.bpf.attachedPrograms(device, "egress");
      assertEquals([old?.name, old?.how], ["first", from]);
      using second = passAll(world.bpf, "second");
      const attached = world.bpf.attach(device, "egress", second, {
        replace: old,
      });
      assertEquals(attached, { id: second.id, name: "second", how: to });
      assertEquals(world.bpf.attachedPrograms(device, "egress"), [attached]);
    });
  }

  test("lists programs at tcx in front of those at clsact, which run later", (world) => {
    const device = world.addDevice();
    world.setTcx(false);
    using first = passAll(world.bpf, "first");
    world.bpf.attach(device, "ingress", first);
    world.setTcx(true);
    using second = passAll(world.bpf, "second");
    world.bpf.attach(device, "ingress", second);
    assertEquals(
      world.bpf.attachedPrograms(device, "ingress").map(({ name }) => name),
      ["second", "first"],
    );
  });
}

function xdpTests(test: RegisterTest): void {
  const pass = (bpf: Bpf, name: string) => passAll(bpf, name, "xdp");

  test("puts a program to the XDP hook of a device and takes it away", (world) => {
    const { bpf } = world;
    const device = world.addDevice();
    using program = pass(bpf, "loden_xdp");
    assertEquals(bpf.xdp(device), undefined);
    bpf.setXdp(device, program);
    assertEquals(bpf.xdp(device), { id: program.id, mode: "native" });
    bpf.setXdp(device, undefined);
    assertEquals(bpf.xdp(device), undefined);
    bpf.setXdp(device, undefined);
  });

  test("keeps a program that runs at the XDP hook", (world) => {
    const { bpf } = world;
    const device = world.addDevice();
    const program = pass(bpf, "loden_xdp");
    bpf.setXdp(device, program);
    program[Symbol.dispose]();
    using again = bpf.openProgram(bpf.xdp(device)!.id)!;
    assertEquals(again.name, "loden_xdp");
  });

  test("never replaces another program at the XDP hook", (world) => {
    const { bpf } = world;
    const device = world.addDevice();
    using first = pass(bpf, "first");
    using second = pass(bpf, "second");
    bpf.setXdp(device, first);
    assertEquals(refusal(() => bpf.setXdp(device, second)), ERRNO.EBUSY);
    assertEquals(bpf.xdp(device)?.id, first.id);
  });

  test("replaces and removes the expected program at the XDP hook only", (world) => {
    const { bpf } = world;
    const device = world.addDevice();
    using first = pass(bpf, "first");
    using second = pass(bpf, "second");
    bpf.setXdp(device, first);
    for (const program of [second, undefined]) {
      const set = (replaceId: number) =>
        refusal(() => bpf.setXdp(device, program, { replaceId }));
      assertEquals(set(second.id), ERRNO.EEXIST);
      assertEquals(set(ABSENT_ID), ERRNO.ENOENT);
      assertEquals(bpf.xdp(device)?.id, first.id);
    }
    bpf.setXdp(device, second, { replaceId: first.id });
    assertEquals(bpf.xdp(device)?.id, second.id);
    bpf.setXdp(device, undefined, { replaceId: second.id });
    assertEquals(bpf.xdp(device), undefined);
    assertEquals(
      refusal(() => bpf.setXdp(device, first, { replaceId: second.id })),
      ERRNO.EEXIST,
    );
  });

  test("puts no program to a device whose driver knows no XDP", (world) => {
    const { bpf, plainDevice } = world;
    using program = pass(bpf, "loden_xdp");
    assertEquals(
      refusal(() => bpf.setXdp(plainDevice, program)),
      ERRNO.EOPNOTSUPP,
    );
    assertEquals(bpf.xdp(plainDevice), undefined);
  });

  test("has no XDP hook of a device that is gone", (world) => {
    const { bpf } = world;
    const device = world.addDevice();
    using program = pass(bpf, "loden_xdp");
    bpf.setXdp(device, program);
    world.removeDevice(device);
    assertEquals(refusal(() => bpf.xdp(device)), ERRNO.ENODEV);
    assertEquals(refusal(() => bpf.setXdp(device, program)), ERRNO.ENODEV);
  });
}
