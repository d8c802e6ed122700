import { assertEquals, assertThrows } from "@std/assert";
import { DistError } from "../../../../tools/dist/errors.ts";
import { architectureOf } from "../../../../tools/dist/release.ts";
import {
  describeRuntime,
  renderChangelog,
} from "../../../../tools/dist/debian_package.ts";
import { tarballName } from "../../../../tools/dist/tarball.ts";

/** The first 20 bytes of a little-endian ELF program. */
function header(machine: number): Uint8Array {
  const bytes = new Uint8Array(20);
  bytes.set([0x7f, 0x45, 0x4c, 0x46]);
  bytes[18] = machine;
  return bytes;
}

Deno.test("the architecture is the binary's own", () => {
  assertEquals(architectureOf(header(0x3e), "x"), "amd64");
  assertEquals(architectureOf(header(0xb7), "x"), "arm64");
});

Deno.test("what is no program for such a machine is refused", () => {
  const text = new TextEncoder().encode("#!/bin/sh\nexec deno run\n");
  for (const bytes of [header(0x03), text, header(0x3e).subarray(0, 19)]) {
    assertThrows(
      () => architectureOf(bytes, "x"),
      DistError,
      "x86-64 or arm64",
    );
  }
});

const RELEASE = {
  version: "1.2.3",
  architecture: "amd64",
  epochSeconds: 1_000_000_000,
  runtime: { denoVersion: "2.0.0", recovered: undefined },
} as const;

Deno.test("the package's description says which runtime is inside", async () => {
  const control = await Deno.readTextFile(
    new URL("../../../../packaging/debian/control", import.meta.url),
  );
  const lastLine = (origin?: string) => {
    const recovered = origin === undefined
      ? undefined
      : { denoVersion: "2.0.0", origin, npmPackage: "", sha256: "" };
    const runtime = { denoVersion: "2.0.0", recovered };
    const text = describeRuntime(control, { runtime });
    assertEquals(text.startsWith(control), true);
    return text.slice(control.length);
  };
  assertEquals(
    lastLine(),
    " .\n The runtime inside is Deno 2.0.0,\n the official one.\n",
  );
  assertEquals(
    lastLine("recovered from npm:x@1.0.0"),
    " .\n The runtime inside is Deno 2.0.0,\n recovered from npm:x@1.0.0.\n",
  );
});

Deno.test("names and dates come from the release", () => {
  assertEquals(tarballName(RELEASE), "loden-1.2.3-linux-amd64");
  assertEquals(
    renderChangelog(RELEASE, "A <a@b.invalid>").split("\n").at(-2),
    " -- A <a@b.invalid>  Sun, 09 Sep 2001 01:46:40 +0000",
  );
});
