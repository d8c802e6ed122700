import { assertEquals } from "@std/assert";
import { lastLines, refusedSlot } from "../../../../linux/bpf/verifier_log.ts";

/** As Linux 6.18 writes it. */
const WALKED = `0: R1=ctx() R10=fp0
0: (18) r1 = 0x5                      ; R1=5
2: (79) r0 = *(u64 *)(r1 +0)
R1 invalid mem access 'scalar'
processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`;
const UNREACHABLE = `unreachable insn 2
processed 0 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`;
/** The walk comes back to an instruction that lies further up. */
const BACK = `7: (05) goto pc-3
from 7 to 5: R0=1 R10=fp0
5: (71) r3 = *(u8 *)(r2 +13)
invalid access to packet, off=13 size=1, R2(id=0,off=13,r=0)
`;

Deno.test("the refused instruction is the last that the verifier looked at", () => {
  assertEquals(refusedSlot(WALKED), 2);
  assertEquals(refusedSlot(BACK), 5);
});

Deno.test("what is refused before the walk is named in the text", () => {
  assertEquals(refusedSlot(UNREACHABLE), 2);
});

Deno.test("a log without an instruction names none", () => {
  assertEquals(
    refusedSlot("fd 77 is not pointing to valid bpf_map\n"),
    undefined,
  );
  assertEquals(refusedSlot(""), undefined);
});

Deno.test("the end of a log is shown in one line, without its statistics", () => {
  assertEquals(
    lastLines(WALKED, 2),
    "2: (79) r0 = *(u64 *)(r1 +0) | R1 invalid mem access 'scalar'",
  );
  assertEquals(lastLines(UNREACHABLE), "unreachable insn 2");
});
