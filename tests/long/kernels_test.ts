/**
 * `deno task test:kernels`: all kernels with their usual cards, and what stands
 * in docs/kernels.md beside them.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { attempt } from "../../tools/command.ts";

/** All kernels take 24 minutes if nothing else runs, and their disks are made first. */
const MOST_MS = 60 * 60_000;

for (
  const [what, words] of [
    [
      "two hosts with each kernel exchange packets with its usual cards and receive modes",
      ["--hosts"],
    ],
    [
      "a card that is unplugged and lockdown stop no packet",
      [
        ...["6.12", "--hosts"],
        "--cards=virtio-replugged,virtio-lockdown",
      ],
    ],
    [
      "packets cross bonds and VLANs",
      // What is neither was tried on this machine.
      [
        "6.12",
        "tests/long/underlay_devices_test.ts",
        "--filter=/bond|VLAN/",
      ],
    ],
  ] as const
) {
  Deno.test(`in virtual machines, ${what}`, async () => {
    const { exitCode, stderr, stdout } = await attempt(
      [Deno.execPath(), "run", "-A", "tests/kernels/main.ts", ...words],
      { signal: AbortSignal.timeout(MOST_MS) },
    );
    assertEquals(exitCode, 0, stdout + stderr);
    assertMatch(stdout, /^[1-9]\d* passed, 0 failed$/m);
  });
}
