import { assert, assertEquals } from "@std/assert";
import { MAPS } from "../../../../../../backend/udp/ebpf/maps.ts";
import type { HostConstants } from "../../../../../../backend/udp/ebpf/programs/constants.ts";
import {
  egressProgram,
  hopProgram,
  ingressProgram,
  xdpProgram,
} from "../../../../../../backend/udp/ebpf/programs/programs.ts";
import { assemble, SLOT_BYTES } from "../../../../../../linux/bpf/assemble.ts";
import { describe } from "../../../../../../linux/bpf/describe.ts";
import type { Instruction } from "../../../../../../linux/bpf/instructions.ts";
import { FakeBpf } from "../../../../../fakes/fake_bpf.ts";
import { HOST, newMaps } from "../../../../../support/ebpf_world.ts";

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 7);
/** The verdict, and the exit. */
const END_BYTES = 2 * SLOT_BYTES;
const DESCRIPTORS = Object.fromEntries(
  Object.keys(MAPS).map((name, index) => [name, index + 10]),
);
const maps = newMaps(new FakeBpf());

function programs(host: HostConstants) {
  return {
    tx: egressProgram(host, maps),
    hop: hopProgram(host, maps),
    rx: ingressProgram(host, "merge", maps),
    xdp: xdpProgram(host, MAC, maps),
  };
}

const bytesOf = (instructions: readonly Instruction[]) =>
  assemble(instructions, { maps: DESCRIPTORS });

function usesMap(instructions: readonly Instruction[], name: string): boolean {
  return instructions.some((each) =>
    each.kind === "operation" && each.map?.name === name
  );
}

Deno.test("while no agent asks, a drop costs a load and a jump to the end", () => {
  for (const { build } of Object.values(programs(HOST))) {
    const text = build().map(describe);
    const [value, load, jump] = text.slice(text.indexOf("drop:") + 1);
    assertEquals([value, load, jump], [
      "r7 = value of map loden_listener + 0",
      "r1 = *(u64 *)(r7 + 0)",
      "if r1 == 0 goto not recorded",
    ]);
    const [verdict, end] = text.slice(text.indexOf("not recorded:") + 1);
    assert(verdict!.startsWith("r0 = "));
    assertEquals(end, "exit");
  }
});

for (const role of ["tx", "hop", "rx", "xdp"] as const) {
  for (const senderCheck of ["strict", "count", "off"] as const) {
    const host = { ...HOST, senderCheck };
    const recording = programs(host)[role].build();
    const plain = programs({ ...host, recordsDrops: false })[role].build();

    Deno.test(`${role} with the sender check ${senderCheck}: recording changes no instruction before the end of drops`, () => {
      const common = bytesOf(plain).slice(0, -END_BYTES);
      assertEquals(bytesOf(recording).slice(0, common.length), common);
    });

    Deno.test(`${role} with the sender check ${senderCheck}: without recording it needs no ring buffer`, () => {
      for (const name of ["loden_drops", "loden_listener"]) {
        assert(usesMap(recording, name));
        assert(!usesMap(plain, name));
      }
    });
  }
}
