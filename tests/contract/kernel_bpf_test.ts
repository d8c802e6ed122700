import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import type { Bpf, BpfMap, ProgramType } from "../../linux/bpf/bpf.ts";
import { BpfError, ProgramRefusedError } from "../../linux/bpf/errors.ts";
import { type HelperName, HELPERS } from "../../linux/bpf/helpers.ts";
import {
  add,
  atomicAdd,
  call,
  exit,
  type Instruction,
  jumpIf,
  label,
  load,
  loadMap,
  loadMapValue,
  mov,
  neg,
  R0,
  R1,
  R10,
  R2,
  R3,
  R4,
  R5,
  R6,
  R9,
  store,
} from "../../linux/bpf/instructions.ts";
import { KernelBpf } from "../../linux/bpf/kernel_bpf.ts";
import { possibleCpus, sumPerCpu } from "../../linux/bpf/per_cpu.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { ERRNO } from "../../linux/errno.ts";
import { linuxSince } from "../support/kernel_release.ts";
import { bpfContract, type BpfWorld } from "./bpf_contract.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";

const KERNEL_BPF_URL = import.meta.resolve("../../linux/bpf/kernel_bpf.ts");
const LOOPBACK_INDEX = 1;
/** TC_ACT_UNSPEC, as the kernel returns it. */
const NEXT = 0xffff_ffff;
const FRAME = new Uint8Array(64).map((_, index) => index);

function kernelWorld(): BpfWorld {
  const rtnetlink = new KernelRtnetlink();
  let bpf = new KernelBpf();
  let count = 0;
  const indexOf = (name: string) =>
    rtnetlink.links().find((link) => link.name === name)!.index;
  return {
    get bpf() {
      return bpf;
    },
    cpus: possibleCpus(),
    plainDevice: LOOPBACK_INDEX,
    addDevice() {
      const name = `veth${count++}`;
      runSync("ip", [
        ...["link", "add", name, "type", "veth"],
        ...["peer", "name", `${name}p`],
      ]);
      return indexOf(name);
    },
    removeDevice: (index) => rtnetlink.deleteLink(index),
    setTcx(on) {
      bpf[Symbol.dispose]();
      bpf = new KernelBpf({ tcx: on });
    },
    [Symbol.dispose]() {
      for (const { index, loopback } of rtnetlink.links()) {
        if (!loopback) rtnetlink.deleteLink(index);
      }
      rtnetlink[Symbol.dispose]();
      bpf[Symbol.dispose]();
    },
  };
}

/** One counter per CPU. */
function newCounter(bpf: Bpf): BpfMap {
  return bpf.createMap({
    name: "loden_count",
    type: "percpuArray",
    keyBytes: 4,
    valueBytes: 8,
    maxEntries: 1,
  });
}

function countOf(counter: BpfMap): number {
  return sumPerCpu(counter.lookup(new Uint8Array(4))!, counter.valueBytes)[0]!;
}

/** Adds one to the map `counter`, and has the next program decide. */
function countAll(): Instruction[] {
  return [
    store("u32", R10, -4, 0),
    mov(R2, R10),
    add(R2, -4),
    loadMap(R1, "counter"),
    call("map_lookup_elem"),
    jumpIf(R0, "==", 0, "out"),
    mov(R1, 1),
    atomicAdd("u64", R0, 0, R1),
    label("out"),
    mov(R0, -1),
    exit(),
  ];
}

function kernelTests(): void {
  /** `since`: the release of the mainline kernel that has what is tested. */
  const test = (
    sentence: string,
    prove: (world: BpfWorld) => void,
    { since = "5.10" } = {},
  ) =>
    Deno.test({
      name: `KernelBpf ${sentence}`,
      ignore: !linuxSince(since),
      fn() {
        using world = kernelWorld();
        prove(world);
      },
    });

  test("runs a program on test data, and gives back what it made of it", ({ bpf }) => {
    using program = bpf.loadProgram({
      name: "loden_test",
      type: "schedCls",
      build: () => [
        mov(R6, R1),
        // Its byte 9 becomes the verdict, and its byte 8 becomes 0xee.
        store("u8", R10, -1, 0xee),
        mov(R2, 8),
        mov(R3, R10),
        add(R3, -1),
        mov(R4, 1),
        mov(R5, 0),
        call("skb_store_bytes"),
        mov(R1, R6),
        mov(R2, 9),
        mov(R3, R10),
        add(R3, -1),
        mov(R4, 1),
        call("skb_load_bytes"),
        load("u8", R0, R10, -1),
        exit(),
      ],
    });
    const result = bpf.testRun(program, { data: FRAME });
    assertEquals(result.returnValue, 9);
    const expected = FRAME.slice();
    expected[8] = 0xee;
    assertEquals(result.data, expected);
    assertEquals(result.context, undefined);
  });

  test("runs a program as often as requested", ({ bpf }) => {
    using counter = newCounter(bpf);
    using program = bpf.loadProgram({
      name: "loden_count",
      type: "schedCls",
      maps: { counter },
      build: countAll,
    });
    const run = bpf.testRun(program, { data: FRAME, repeat: 20 });
    assertEquals(run.returnValue, NEXT);
    assertEquals(countOf(counter), 20);
  });

  test("gives a program its context, and gives it back", ({ bpf }) => {
    /** `__sk_buff.mark` and `cb[0]`: `linux/bpf.h`. */
    const [mark, firstOfOurs] = [8, 48];
    using program = bpf.loadProgram({
      name: "loden_test",
      type: "schedCls",
      build: () => [
        load("u32", R0, R1, mark),
        mov(R2, 77),
        store("u32", R1, firstOfOurs, R2),
        exit(),
      ],
    });
    const context = new Uint8Array(192);
    new DataView(context.buffer).setUint32(mark, 1234, true);
    const result = bpf.testRun(program, { data: FRAME, context });
    assertEquals(result.returnValue, 1234);
    const view = new DataView(result.context!.buffer);
    assertEquals(view.getUint32(firstOfOurs, true), 77);
  });

  test("says when there is no room for what a program makes", ({ bpf }) => {
    using program = bpf.loadProgram({
      name: "loden_test",
      type: "xdp",
      build: () => [mov(R0, 2), exit()],
    });
    const error = assertThrows(
      () => bpf.testRun(program, { data: FRAME, dataOutBytes: 10 }),
      BpfError,
    );
    assertEquals(error.errno, ERRNO.ENOSPC);
  });

  test("reads and writes a map's value without a lookup", ({ bpf }) => {
    using values = bpf.createMap({
      name: "loden_values",
      type: "array",
      keyBytes: 4,
      valueBytes: 16,
      maxEntries: 1,
    });
    using program = bpf.loadProgram({
      name: "loden_test",
      type: "schedCls",
      maps: { values },
      build: () => [
        loadMapValue(R1, "values", 8),
        store("u32", R1, 4, 0x0403_0201),
        load("u32", R0, R1, 0),
        exit(),
      ],
    });
    values.update(new Uint8Array(4), new Uint8Array(16).fill(5));
    const run = bpf.testRun(program, { data: FRAME });
    assertEquals(run.returnValue, 0x0505_0505);
    assertEquals(
      values.lookup(new Uint8Array(4))!.toHex(),
      "05".repeat(12) + "01020304",
    );
  });

  test("reads what programs write to a ring buffer, around its end, and gives the room back", ({ bpf }) => {
    using records = bpf.createMap({
      name: "loden_ring",
      type: "ringBuffer",
      keyBytes: 0,
      valueBytes: 0,
      maxEntries: 1 << 16,
    });
    using counter = newCounter(bpf);
    using program = bpf.loadProgram({
      name: "loden_test",
      type: "schedCls",
      maps: { counter, records },
      build: () => [
        ...countAll().slice(0, -2),
        loadMap(R1, "records"),
        mov(R2, 1_000),
        mov(R3, 0),
        call("ringbuf_reserve"),
        jumpIf(R0, "==", 0, "full"),
        mov(R6, R0),
        store("u32", R10, -4, 0),
        mov(R2, R10),
        add(R2, -4),
        loadMap(R1, "counter"),
        call("map_lookup_elem"),
        mov(R1, 0),
        jumpIf(R0, "==", 0, "submit"),
        load("u64", R1, R0, 0),
        label("submit"),
        store("u64", R6, 0, R1),
        mov(R1, R6),
        mov(R2, 1),
        call("ringbuf_submit"),
        label("full"),
        mov(R0, 0),
        exit(),
      ],
    });
    using ring = bpf.mapRing(records);
    const numbers: number[] = [];
    const read = (most: number) => {
      for (const record of ring.read(most)) {
        assertEquals(record.length, 1_000);
        const view = new DataView(record.buffer);
        numbers.push(Number(view.getBigUint64(0, true)));
      }
    };
    // Twenty at a time, of which 65 have room: several times around.
    for (let round = 0; round < 20; round++) {
      bpf.testRun(program, { data: FRAME, repeat: 20 });
      read(20);
    }
    assertEquals(numbers, Array.from({ length: 400 }, (_, index) => index + 1));
    // What has no room is not written over what is there.
    bpf.testRun(program, { data: FRAME, repeat: 100 });
    numbers.length = 0;
    read(1_000);
    assertEquals(
      numbers,
      Array.from({ length: 65 }, (_, index) => index + 401),
    );
  });

  test("shows the verifier's reason and the line in the sources", ({ bpf }) => {
    const error = assertThrows(
      () =>
        bpf.loadProgram({
          name: "loden_bad",
          type: "xdp",
          build: () => [mov(R0, 0), load("u32", R0, R3, 0), exit()],
        }),
      ProgramRefusedError,
    );
    assertEquals([error.code, error.errno], ["bpf.verifier", ERRNO.EACCES]);
    assertMatch(error.place!, /^tests\/contract\/kernel_bpf_test\.ts:\d+$/);
    assertEquals(
      error.message,
      `Cannot load the program loden_bad: the verifier of Linux ${Deno.osRelease()} answered EACCES ` +
        `at ${error.place}, "r0 = *(u32 *)(r3 + 0)": ${error.log}`,
    );
    assertStringIncludes(
      error.log,
      linuxSince("7.3")
        ? "R3 has never been initialized on this path"
        : "R3 !read_ok",
    );
    assertStringIncludes(error.hint!, "--datapath=tun");
  });

  test("shows the end of a log that is longer than its first memory", ({ bpf }) => {
    // 4000 instructions on the way to the fault: more than 64 KiB of log.
    const error = assertThrows(
      () =>
        bpf.loadProgram({
          name: "loden_bad",
          type: "xdp",
          build: () => [
            mov(R0, 0),
            ...Array.from({ length: 4000 }, () => neg(R0)),
            mov(R0, R9),
            exit(),
          ],
        }),
      ProgramRefusedError,
    );
    assertStringIncludes(
      error.log,
      linuxSince("7.3") ? ">>> 4001 | (bf) r0 = r9" : "4001: (bf) r0 = r9",
    );
    assertStringIncludes(error.message, '"r0 = r9"');
  });

  test("does not call it the verifier's refusal when it is another's", ({ bpf }) => {
    const error = assertThrows(
      () =>
        bpf.loadProgram({
          name: "loden_bad",
          type: "schedCls",
          build: () => [],
        }),
      BpfError,
    );
    assertEquals(error.errno, ERRNO.E2BIG);
  });

  for (const type of ["schedCls", "xdp"] as const) {
    test(`knows every helper by its number, in ${type} programs`, ({ bpf }) => {
      for (const name of Object.keys(HELPERS) as HelperName[]) {
        assertHelper(bpf, type, name);
      }
    });
  }

  test("loads a program for frames in several pieces", ({ bpf }) => {
    using program = bpf.loadProgram({
      name: "loden_xdp",
      type: "xdp",
      xdpFragments: true,
      build: () => [mov(R0, 2), exit()],
    });
    assertEquals(bpf.testRun(program, { data: FRAME }).returnValue, 2);
  }, { since: "5.18" });

  for (const how of ["tcx", "clsact"] as const) {
    test(
      `lets each packet through all programs, and through one of two that are exchanged, by ${how}`,
      (world) => {
        world.setTcx(how === "tcx");
        const { bpf } = world;
        const device = LOOPBACK_INDEX;
        using counter = newCounter(bpf);
        using other = newCounter(bpf);
        const loaded = (name: string, map: BpfMap) =>
          bpf.loadProgram({
            name,
            type: "schedCls",
            maps: { counter: map },
            build: countAll,
          });
        using first = loaded("first", counter);
        using second = loaded("second", other);
        using third = loaded("third", counter);
        const old = bpf.attach(device, "egress", first);
        const next = bpf.attach(device, "egress", second);
        const ping = () =>
          runSync("ping", ["-c", "2", "-i", "0.01", "-W", "2", "127.0.0.1"]);
        // Two requests and their two answers.
        ping();
        assertEquals([countOf(counter), countOf(other)], [4, 4]);
        const fresh = bpf.attach(device, "egress", third, { replace: old });
        ping();
        assertEquals([countOf(counter), countOf(other)], [8, 8]);
        bpf.detach(device, "egress", fresh);
        ping();
        assertEquals([countOf(counter), countOf(other)], [8, 12]);
        bpf.detach(device, "egress", next);
      },
      { since: how === "tcx" ? "6.6" : "5.10" },
    );
  }

  test("takes its queueing discipline away with the last filter, and leaves another's", (world) => {
    world.setTcx(false);
    const { bpf } = world;
    const shown = (name: string) =>
      runSync("tc", ["qdisc", "show", "dev", name]);
    const [ours, others] = [world.addDevice(), world.addDevice()];
    runSync("tc", ["qdisc", "add", "dev", "veth1", "clsact"]);
    using program = bpf.loadProgram({
      name: "loden_tx",
      type: "schedCls",
      build: () => [mov(R0, -1), exit()],
    });
    for (const device of [ours, others]) {
      const attached = (["ingress", "egress"] as const).map((direction) =>
        [direction, bpf.attach(device, direction, program)] as const
      );
      for (const [direction, one] of attached) {
        assertStringIncludes(shown("veth0") + shown("veth1"), "clsact");
        bpf.detach(device, direction, one);
      }
    }
    assert(!shown("veth0").includes("clsact"));
    assertStringIncludes(shown("veth1"), "clsact");
  });

  test("takes a queueing discipline away that an earlier process made", (world) => {
    world.setTcx(false);
    const device = world.addDevice();
    using program = world.bpf.loadProgram({
      name: "loden_tx",
      type: "schedCls",
      build: () => [mov(R0, -1), exit()],
    });
    const attached = world.bpf.attach(device, "egress", program);
    world.setTcx(false);
    assert(world.bpf.detach(device, "egress", attached));
    assertEquals(
      runSync("tc", ["qdisc", "show", "dev", "veth0"]).match(/clsact/),
      null,
    );
  });

  test("leaves no queueing discipline behind for a program that no filter takes", (world) => {
    world.setTcx(false);
    const device = world.addDevice();
    using program = world.bpf.loadProgram({
      name: "loden_xdp",
      type: "xdp",
      build: () => [mov(R0, 2), exit()],
    });
    assertThrows(() => world.bpf.attach(device, "egress", program));
    assertEquals(
      runSync("tc", ["qdisc", "show", "dev", "veth0"]).match(/clsact/),
      null,
    );
  });

  test("leaves filters of others alone", (world) => {
    world.setTcx(false);
    const { bpf } = world;
    const device = world.addDevice();
    runSync("tc", ["qdisc", "add", "dev", "veth0", "clsact"]);
    runSync("tc", [
      ...["filter", "add", "dev", "veth0", "egress", "prio", "8285"],
      ...["protocol", "all", "bpf", "bytecode", "1,6 0 0 4294967295"],
    ]);
    using program = bpf.loadProgram({
      name: "loden_tx",
      type: "schedCls",
      build: () => [mov(R0, -1), exit()],
    });
    const attached = bpf.attach(device, "egress", program);
    assertEquals(bpf.attachedPrograms(device, "egress"), [attached]);
    bpf.detach(device, "egress", attached);
    assertStringIncludes(
      runSync("tc", ["filter", "show", "dev", "veth0", "egress"]),
      "bytecode",
    );
  });

  test("finds room behind a hundred filters, and in a gap between them", (world) => {
    world.setTcx(false);
    const { bpf } = world;
    const device = world.addDevice();
    const attach = () => {
      using program = bpf.loadProgram({
        name: "loden_tx",
        type: "schedCls",
        build: () => [mov(R0, -1), exit()],
      });
      return bpf.attach(device, "egress", program);
    };
    const attached = Array.from({ length: 100 }, attach);
    const ids = () =>
      bpf.attachedPrograms(device, "egress").map(({ id }) => id);
    assertEquals(ids(), attached.map(({ id }) => id));
    bpf.detach(device, "egress", attached[7]!);
    const { id } = attach();
    assertEquals(ids()[7], id);
    const error = assertThrows(attach, BpfError);
    assertEquals(error.errno, ERRNO.ENOSPC);
    assertStringIncludes(error.message, "8285 to 8384 are in use");
  });

  test("names the missing permission if it may not use bpf(2)", () => {
    const { errno, hint } = withoutCapabilities(65536, "");
    assertEquals(errno, ERRNO.EPERM);
    assertStringIncludes(hint, "CAP_BPF and CAP_NET_ADMIN");
  });

  test("lifts the limit of locked memory as far as it may", () => {
    const most = runSync("prlimit", [
      ...["--memlock", "--raw", "--noheadings", "-oHARD"],
    ]).trim();
    assertEquals(withoutCapabilities(65536, "").lockedBytes, most);
    assertEquals(withoutCapabilities(65536, "65536").lockedBytes, "65536");
  });

  test("leaves no descriptors behind, whatever happens", () => {
    const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
    const before = descriptors();
    {
      using world = kernelWorld();
      const { bpf } = world;
      const device = world.addDevice();
      using counter = newCounter(bpf);
      const spec = {
        name: "loden_count",
        type: "schedCls",
        maps: { counter },
        build: countAll,
      } as const;
      using program = bpf.loadProgram(spec);
      using second = bpf.loadProgram(spec);
      const attached = bpf.attach(device, "egress", program);
      const replaced = bpf.attach(device, "egress", second, {
        replace: attached,
      });
      bpf.attachedPrograms(device, "egress");
      bpf.detach(device, "egress", replaced);
      assertThrows(() =>
        bpf.loadProgram({ ...spec, build: () => [mov(R0, R9), exit()] })
      );
      assertThrows(() => bpf.openMap(program.id + 1_000_000)!.id);
    }
    assertEquals(descriptors(), before);
  });
}

/**
 * The verifier's log names the function behind a number. A register that holds
 * nothing makes sure that there is a log.
 */
function assertHelper(bpf: Bpf, type: ProgramType, name: HelperName): void {
  const error = assertThrows(() =>
    bpf.loadProgram({
      name: "loden_helper",
      type,
      build: () => [call(name), mov(R0, R9), exit()],
    })
  );
  assertInstanceOf(error, ProgramRefusedError);
  assertStringIncludes(error.log, `call bpf_${name}#${HELPERS[name]}`);
}

/**
 * Makes a map in a process without the capabilities for it, and with a limit of
 * locked memory: the result, and the limit afterwards.
 *
 * @param hardLimit How far it may be raised; empty for as far as it could be.
 */
function withoutCapabilities(
  softLimit: number,
  hardLimit: string,
): { errno: number; hint: string; lockedBytes: string } {
  const code = `
    import { KernelBpf } from "${KERNEL_BPF_URL}";
    using bpf = new KernelBpf();
    try {
      bpf.createMap({
        name: "loden", type: "hash", keyBytes: 4, valueBytes: 4, maxEntries: 1,
      });
    } catch ({ errno, hint }) {
      const limits = Deno.readTextFileSync("/proc/self/limits");
      const [, lockedBytes] = /^Max locked memory +(\\S+)/m.exec(limits);
      console.log(JSON.stringify({ errno, hint, lockedBytes }));
    }`;
  return JSON.parse(runSync("prlimit", [
    `--memlock=${softLimit}:${hardLimit}`,
    ...["setpriv", "--bounding-set", "-sys_admin,-bpf,-sys_resource"],
    ...[Deno.execPath(), "eval", "--no-check", "--cached-only", code],
  ]));
}

testInNamespace("KernelBpf keeps its contract", import.meta.url, () => {
  bpfContract("KernelBpf", kernelWorld, {
    tcx: linuxSince("6.6"),
    trieBatches: linuxSince("5.13"),
  });
  kernelTests();
});
