/**
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import {
  parseSoakOptions,
  SoakUsageError,
} from "../../../../tools/soak/options.ts";

const parse = (...args: string[]) => parseSoakOptions(args, () => 5);

Deno.test("the soak goes on for an hour, with a seed of its own", () => {
  assertEquals(parse(), { help: false, minutes: 60, seed: 5, only: "" });
});

Deno.test("minutes, seed and faults can be said in both ways of writing", () => {
  const expected = { help: false, minutes: 0.5, seed: 0, only: "a key" };
  assertEquals(
    parse("--minutes", "0.5", "--seed", "0", "--only", "a key"),
    expected,
  );
  assertEquals(parse("--minutes=0.5", "--seed=0", "--only=a key"), expected);
});

Deno.test("bad usage of the soak is named", () => {
  for (
    const [args, said] of [
      [["--minutes", "0"], "--minutes"],
      [["--minutes", "many"], "many"],
      [["--seed", "1.5"], "1.5"],
      [["--seed", "4294967296"], "2^32"],
      [["--seed"], "--seed must have a value"],
      [["--hours", "1"], "--hours"],
    ] as const
  ) assertThrows(() => parse(...args), SoakUsageError, said);
});
