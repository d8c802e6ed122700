import { assert, assertEquals } from "@std/assert";
import {
  releaseProgramPages,
  unchangedMappings,
} from "../../../linux/program_pages.ts";
import { residentMemory } from "../../../bench/measure/memory.ts";

const SMAPS = `\
55d1b4000000-55d1b4200000 r--p 00000000 00:1c 1234     /usr/bin/loden
Size:               2048 kB
Anonymous:             0 kB
VmFlags: rd mr mw me
55d1b4200000-55d1b8000000 r-xp 00200000 00:1c 1234     /usr/bin/loden
Anonymous:             0 kB
55d1b8000000-55d1b8200000 r--p 04000000 00:1c 1234     /usr/bin/loden
Anonymous:          1952 kB
55d1b8200000-55d1b8300000 rw-p 04200000 00:1c 1234     /usr/bin/loden
Anonymous:             0 kB
55d1b8300000-55d1b8400000 rw-p 00000000 00:00 0        [heap]
Anonymous:             0 kB
7f5530000000-7f5530100000 r-xp 00000000 00:1c 99       /usr/lib/libc.so.6
Anonymous:             0 kB
7f5530100000-7f5530101000 r--p 00000000 00:00 0
Anonymous:             0 kB
`;

Deno.test("of a program's mappings those count that cannot be and were not written to", () => {
  assertEquals(unchangedMappings(SMAPS, "/usr/bin/loden"), [
    { startAddress: 0x55d1b4000000, lengthBytes: 0x200000 },
    { startAddress: 0x55d1b4200000, lengthBytes: 0x3e00000 },
  ]);
  assertEquals(unchangedMappings(SMAPS, "/usr/bin/other"), []);
});

Deno.test("a program that has let go of its pages has less memory, and goes on", () => {
  const fileMegabytes = () => {
    const { rssAnonMb, rssMb } = residentMemory(Deno.pid);
    return rssMb - rssAnonMb;
  };
  const before = fileMegabytes();
  releaseProgramPages();
  const after = fileMegabytes();
  assert(after < before - 5, `${before} MB, then ${after} MB`);
});
