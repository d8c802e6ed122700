import { assertEquals, assertThrows } from "@std/assert";
import { TestPacketLostError } from "../../../../../backend/udp/ebpf/errors.ts";
import { passTestPackets } from "../../../../../backend/udp/ebpf/self_test.ts";
import type { TestRunResult } from "../../../../../linux/bpf/bpf.ts";
import { FakeBpf } from "../../../../fakes/fake_bpf.ts";
import { HOST, passPacket } from "../../../../support/ebpf_world.ts";

/** Lets the packet through but for what `spoil` makes of the result. */
function tryWith(
  role: "tx" | "rx",
  spoil: (result: TestRunResult) => TestRunResult,
): FakeBpf {
  const bpf = new FakeBpf();
  bpf.answerTestRuns((program, run) => {
    const result = passPacket(program, run);
    return program.spec.name.startsWith(`loden_${role}`)
      ? spoil(result)
      : result;
  });
  return bpf;
}

const flipped = (at: number) => ({ data, ...result }: TestRunResult) => {
  const spoilt = data.slice();
  spoilt[at]! ^= 1;
  return { ...result, data: spoilt };
};

Deno.test("packets pass correctly in both directions, and nothing of the test is left", () => {
  using bpf = tryWith("tx", (result) => result);
  passTestPackets(bpf, HOST);
  assertEquals([bpf.programs, bpf.maps], [[], []]);
});

const FAULTS: readonly [
  string,
  "tx" | "rx",
  (result: TestRunResult) => TestRunResult,
][] = [
  ["dropped on the way out", "tx", (result) => ({ ...result, returnValue: 2 })],
  ["passed on the way in", "rx", (result) => ({ ...result, returnValue: 0 })],
  ["sent to another host", "tx", flipped(33)],
  ["changed on the way out", "tx", flipped(60)],
  ["changed on the way in", "rx", flipped(20)],
  [
    "cut short",
    "rx",
    ({ data, ...result }) => ({ ...result, data: data.slice(0, -1) }),
  ],
  [
    "not encapsulated",
    "tx",
    ({ data, ...result }) => ({ ...result, data: data.slice(28) }),
  ],
];
for (const [what, role, spoil] of FAULTS) {
  Deno.test(`a test packet that is ${what} keeps the programs from being used`, () => {
    using bpf = tryWith(role, spoil);
    assertThrows(() => passTestPackets(bpf, HOST), TestPacketLostError);
    assertEquals([bpf.programs, bpf.maps], [[], []]);
  });
}
