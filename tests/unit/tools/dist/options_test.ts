import { assertEquals, assertThrows } from "@std/assert";
import {
  DistUsageError,
  parseDistOptions,
} from "../../../../tools/dist/options.ts";

Deno.test("everything is made, from a fresh binary, unless told otherwise", () => {
  assertEquals(parseDistOptions([]), {
    help: false,
    binary: undefined,
    runtime: "official",
    out: "dist",
    formats: ["tarball", "deb"],
    signKey: undefined,
  });
  assertEquals(
    parseDistOptions([
      ...["--binary=x", "--only=deb", "--runtime=recovered"],
      "--sign-key=k",
    ]),
    {
      help: false,
      binary: "x",
      runtime: "recovered",
      out: "dist",
      formats: ["deb"],
      signKey: "k",
    },
  );
});

Deno.test("arguments that cannot be right are refused", () => {
  for (
    const argument of [
      "--only=rpm",
      "--runtime=x",
      "--binary=",
      "--sign-key=",
      "--oops",
      "word",
    ]
  ) {
    assertThrows(() => parseDistOptions([argument]), DistUsageError);
  }
});
