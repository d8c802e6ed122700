import { assertEquals } from "@std/assert";
import {
  formatCpuMask,
  parseCpuMask,
  sharingCpus,
} from "../../../linux/packet_steering.ts";

Deno.test("processors are read and written as the kernel's masks", () => {
  const masks: [text: string, cpus: bigint][] = [
    ["00000000", 0n],
    ["0000000f", 15n],
    ["00000001,00000000", 1n << 32n],
    ["80000000,00000000,00000001", 1n << 95n | 1n],
  ];
  for (const [text, cpus] of masks) {
    assertEquals(parseCpuMask(`${text}\n`), cpus);
    assertEquals(formatCpuMask(cpus), text);
  }
  // With few processors the kernel writes few digits.
  assertEquals(parseCpuMask("3\n"), 3n);
});

/** Files of `/sys/devices/system/cpu`, and the mask of what may share. */
const MACHINES: readonly [Record<string, string>, string][] = [
  [{ online: "0-1", isolated: "" }, "00000003"],
  [{ online: "0-63" }, "ffffffff,ffffffff"],
  [
    { online: "0-127", isolated: "\n", nohz_full: "(null)\n" },
    "ffffffff,ffffffff,ffffffff,ffffffff",
  ],
  [
    { online: "0-71", isolated: "2-63", nohz_full: "66-71" },
    "00000003,00000000,00000003",
  ],
  // One was set offline.
  [{ online: "0-2,4", isolated: "0" }, "00000016"],
];
for (const [files, mask] of MACHINES) {
  Deno.test(`of the processors ${files.online!} without ${files.isolated?.trim() || "none"}, ${mask} may share`, () => {
    assertEquals(formatCpuMask(sharingCpus((name) => files[name])), mask);
  });
}
