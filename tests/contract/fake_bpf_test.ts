import { assertEquals, assertThrows } from "@std/assert";
import { exit, mov, R0 } from "../../linux/bpf/instructions.ts";
import { FakeBpf } from "../fakes/fake_bpf.ts";
import { bpfContract } from "./bpf_contract.ts";

const LOOPBACK_INDEX = 1;

bpfContract("FakeBpf", () => {
  const cpus = 3;
  const bpf = new FakeBpf({ cpus });
  bpf.removeNativeXdp(LOOPBACK_INDEX);
  let nextIndex = LOOPBACK_INDEX + 1;
  return {
    bpf,
    cpus,
    plainDevice: LOOPBACK_INDEX,
    addDevice: () => nextIndex++,
    removeDevice: (index) => bpf.removeInterface(index),
    setTcx: (on) => bpf.tcx = on,
    [Symbol.dispose]: () => bpf[Symbol.dispose](),
  };
});

const PROGRAM = {
  name: "loden_tx",
  type: "schedCls",
  build: () => [mov(R0, 0), exit()],
} as const;

Deno.test("FakeBpf fails as configured, until it is reconfigured", () => {
  using bpf = new FakeBpf();
  bpf.failWith("loadProgram", new Error("no memory"));
  assertThrows(() => bpf.loadProgram(PROGRAM), Error, "no memory");
  bpf.failWith("loadProgram", undefined);
  using program = bpf.loadProgram(PROGRAM);
  assertEquals(program.name, "loden_tx");
});

Deno.test("FakeBpf shows what was loaded, and answers runs as configured", () => {
  using bpf = new FakeBpf();
  using program = bpf.loadProgram(PROGRAM);
  assertEquals(
    bpf.programs.map(({ spec, instructions }) => [spec, instructions]),
    [[PROGRAM, [mov(R0, 0), exit()]]],
  );
  bpf.answerTestRuns(({ spec }, { data }) => ({
    returnValue: spec.name.length,
    data: Uint8Array.from(data),
    durationNs: 0,
  }));
  const result = bpf.testRun(program, { data: Uint8Array.of(1) });
  assertEquals([result.returnValue, result.data], [8, Uint8Array.of(1)]);
});
