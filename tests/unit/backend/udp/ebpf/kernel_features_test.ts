import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  type FeatureParts,
  KERNEL_FEATURES,
  missingFeature,
  tryKernelFeatures,
} from "../../../../../backend/udp/ebpf/kernel_features.ts";
import { FakeBpf } from "../../../../fakes/fake_bpf.ts";
import { passPacket } from "../../../../support/ebpf_world.ts";

const ALL = KERNEL_FEATURES.map(({ name }) => name);

/** A kernel that has everything. */
function newKernel(mtuBytes = 1_500) {
  const bpf = new FakeBpf();
  const answers = { decap: 0, room: 0 };
  bpf.answerTestRuns((program, run) => {
    const returnValue = program.spec.name === "loden_decap_udp"
      ? answers.decap
      : program.spec.name === "loden_room"
      ? answers.room
      : undefined;
    return returnValue === undefined
      ? passPacket(program, run)
      : { returnValue, data: run.data.slice(), durationNs: 1 };
  });
  const modules = new Set(["veth", "cls_bpf", "sch_ingress"]);
  const parts: FeatureParts = {
    bpf,
    hasModule: (name) => modules.has(name),
    underlay: { interfaceIndex: 2, mtuBytes },
  };
  return { bpf, answers, modules, parts };
}

type Kernel = ReturnType<typeof newKernel>;

function failing({ parts }: Kernel): string[] {
  return tryKernelFeatures(parts)
    .filter(({ problem }) => problem !== undefined)
    .map(({ feature }) => feature.name);
}

Deno.test("a kernel with everything lacks nothing, and trying leaves nothing", () => {
  const kernel = newKernel();
  assertEquals(failing(kernel), []);
  assertEquals(missingFeature(kernel.parts), undefined);
  assertEquals([kernel.bpf.maps, kernel.bpf.programs], [[], []]);
});

/** What is taken from the kernel, and what it then lacks. */
const REFUSALS: readonly [string, (kernel: Kernel) => void, string[]][] = [
  ["arrays", ({ bpf }) => bpf.refuse("array"), ["bpf", "BPF ring buffers"]],
  ["tries", ({ bpf }) => bpf.refuse("lpmTrie"), ["maps"]],
  ["counters", ({ bpf }) => bpf.refuse("percpuArray"), ["maps"]],
  [
    "test runs",
    ({ bpf }) => bpf.failWith("testRun", new Error("no")),
    [
      "test runs",
      "bpf_skb_adjust_room beyond the MTU",
      "BPF_F_ADJ_ROOM_DECAP_L4_UDP",
    ],
  ],
  ...([
    "fib_lookup",
    "jiffies64",
    "ktime_get_boot_ns",
    "csum_level",
    "redirect_neigh",
  ] as const).map((helper): (typeof REFUSALS)[number] => [
    helper,
    ({ bpf }) => bpf.refuse(helper),
    helper === "ktime_get_boot_ns"
      ? [`bpf_${helper}`, "BPF ring buffers"]
      : [`bpf_${helper}`],
  ]),
  ["room", ({ answers }) => answers.room = -524, [
    "bpf_skb_adjust_room beyond the MTU",
  ]],
  ["veth", ({ modules }) => modules.delete("veth"), ["veth"]],
  ["records in ring buffers", ({ bpf }) => bpf.refuse("ringbuf_reserve"), [
    "BPF ring buffers",
  ]],
  ["tcx", ({ bpf }) => bpf.tcx = false, ["tcx"]],
  ["tcx and cls_bpf", ({ bpf, modules }) => {
    bpf.tcx = false;
    modules.delete("cls_bpf");
  }, ["a hook for tc programs", "tcx"]],
  ["tcx and clsact", ({ bpf, modules }) => {
    bpf.tcx = false;
    modules.delete("sch_ingress");
  }, ["a hook for tc programs", "tcx"]],
  ["XDP", ({ bpf }) => bpf.refuse("xdp"), ["XDP with metadata"]],
  ["metadata", ({ bpf }) => bpf.refuse("xdp_adjust_meta"), [
    "XDP with metadata",
  ]],
  ["decap-udp", ({ answers }) => answers.decap = -22, [
    "BPF_F_ADJ_ROOM_DECAP_L4_UDP",
  ]],
];
for (const [what, refuse, lacks] of REFUSALS) {
  Deno.test(`a kernel without ${what} lacks ${lacks.join(", ")} alone`, () => {
    const kernel = newKernel();
    refuse(kernel);
    assertEquals(failing(kernel), lacks);
    const needed = KERNEL_FEATURES.find(({ name, isRequired }) =>
      isRequired && lacks.includes(name)
    );
    const error = missingFeature(kernel.parts);
    assertEquals(error === undefined, needed === undefined);
    if (needed !== undefined) assertStringIncludes(error!.message, needed.name);
    assertEquals([kernel.bpf.maps, kernel.bpf.programs], [[], []]);
  });
}

Deno.test("a lack of memory says nothing about the kernel", () => {
  const kernel = newKernel();
  kernel.answers.room = -12;
  assertEquals(failing(kernel), []);
});

Deno.test("modules that cannot be seen count as there", () => {
  const kernel = newKernel();
  kernel.bpf.tcx = false;
  const parts = { ...kernel.parts, hasModule: () => undefined };
  assertEquals(missingFeature(parts), undefined);
});

Deno.test("the packet that is tried grows beyond any MTU of the underlay", () => {
  for (const mtuBytes of [68, 576, 1_500, 4_000, 9_000, 10_900]) {
    const { bpf, parts } = newKernel(mtuBytes);
    let grownBytes = 0;
    bpf.answerTestRuns((program, run) => {
      if (program.spec.name === "loden_room") {
        const calls = program.instructions.filter((one) =>
          one.kind === "operation" && one.opcode === 0x85
        ).length;
        grownBytes = run.data.length + calls * 4_000;
      }
      return passPacket(program, run);
    });
    tryKernelFeatures(parts);
    assert(grownBytes > mtuBytes + 14, `${grownBytes} at ${mtuBytes}`);
    assert(grownBytes < 16_000, `${grownBytes} at ${mtuBytes}`);
  }
});

Deno.test("each feature has a name of its own", () => {
  assertEquals(new Set(ALL).size, ALL.length);
});
