/**
 * The Debian packages of both architectures, each in two virtual machines.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { attempt } from "../../tools/command.ts";

const KERNELS = { amd64: "6.12", arm64: "6.12-arm64" };

for (const [architecture, kernel] of Object.entries(KERNELS)) {
  Deno.test(`the package for ${architecture} installs, is started by systemd, carries packets between two machines and leaves nothing`, async () => {
    const { exitCode, stderr, stdout } = await attempt([
      ...[Deno.execPath(), "run", "-A", "tests/kernels/main.ts", kernel],
      ...["--hosts", "--package", "--cards=virtio", "--modes=auto"],
    ]);
    assertEquals(exitCode, 0, stdout + stderr);
  });
}
