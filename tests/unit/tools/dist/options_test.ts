import { assertEquals, assertThrows } from "@std/assert";
import {
  DistUsageError,
  parseDistOptions,
} from "../../../../tools/dist/options.ts";

Deno.test("everything is made, from a fresh binary, unless told otherwise", () => {
  assertEquals(parseDistOptions([]), {
    help: false,
    binary: undefined,
    out: "dist",
    formats: ["tarball", "deb"],
  });
  assertEquals(parseDistOptions(["--binary=x", "--only=deb"]), {
    help: false,
    binary: "x",
    out: "dist",
    formats: ["deb"],
  });
});

Deno.test("arguments that cannot be right are refused", () => {
  for (const argument of ["--only=rpm", "--binary=", "--oops", "word"]) {
    assertThrows(() => parseDistOptions([argument]), DistUsageError);
  }
});
