import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { EnumFlag, IntFlag } from "../../../config/flag_spec.ts";
import {
  parseFlagValue,
  parseGoBool,
  parseGoInteger,
} from "../../../config/flag_value.ts";

Deno.test("a bool has Go's words and no others", () => {
  for (const word of ["1", "t", "T", "true", "TRUE", "True"]) {
    assertEquals(parseGoBool(word), true, word);
  }
  for (const word of ["0", "f", "F", "false", "FALSE", "False"]) {
    assertEquals(parseGoBool(word), false, word);
  }
  for (const word of ["", "yes", "no", "on", "tRue", " true", "toString"]) {
    assertEquals(parseGoBool(word), undefined, word);
  }
});

Deno.test("an integer is a Go literal whose prefix decides the base", () => {
  const table: [string, number | undefined][] = [
    ["0", 0],
    ["60", 60],
    ["+7", 7],
    ["-7", -7],
    ["-0", 0],
    ["0x3c", 60],
    ["0X3C", 60],
    ["0b101", 5],
    ["0o17", 15],
    ["017", 15],
    ["00", 0],
    ["1_000", 1000],
    ["0x_ff", 255],
    ["0_7", 7],
    ["08", undefined],
    ["_1", undefined],
    ["1_", undefined],
    ["1__0", undefined],
    ["0x", undefined],
    ["1e3", undefined],
    ["1.0", undefined],
    ["", undefined],
    [" 1", undefined],
    ["1m", undefined],
    ["--1", undefined],
  ];
  for (const [text, value] of table) {
    assertEquals(parseGoInteger(text), value, JSON.stringify(text));
  }
});

Deno.test("every integer reads back from each base", () => {
  fc.assert(fc.property(fc.integer(), (value) => {
    const sign = value < 0 ? "-" : "";
    const magnitude = Math.abs(value);
    for (const [prefix, base] of [["", 10], ["0x", 16], ["0b", 2], ["0", 8]]) {
      const text = sign + prefix + magnitude.toString(Number(base));
      assertEquals(parseGoInteger(text), value + 0, text);
    }
  }));
});

const MARGIN: IntFlag = {
  name: "margin",
  type: "int",
  default: 60,
  min: 1,
  max: 1439,
  unit: "minutes",
  group: "Lease",
  origin: "flannel",
  status: { kind: "active" },
  help: "a margin",
};

Deno.test("an integer outside its range is refused with the nearest that passes", () => {
  for (const [text, example] of [["0", "1"], ["1440", "1439"], ["x", "60"]]) {
    assertEquals(parseFlagValue(MARGIN, text!), {
      rule: "a whole number of minutes from 1 to 1439",
      example,
    });
  }
  assertEquals(parseFlagValue(MARGIN, "1439"), { value: 1439 });
});

Deno.test("a number too large for any integer is refused, not rounded", () => {
  assertEquals(parseFlagValue(MARGIN, "9".repeat(400)), {
    rule: "a whole number of minutes from 1 to 1439",
    example: "1439",
  });
});

Deno.test("a word that is none of the flag's is refused with the nearest one", () => {
  const flag: EnumFlag = {
    name: "path",
    type: "enum",
    default: "auto",
    words: ["auto", "ebpf", "tun"],
    group: "Lease",
    origin: "loden",
    status: { kind: "active" },
    help: "a path",
  };
  assertEquals(parseFlagValue(flag, "ebpf"), { value: "ebpf" });
  assertEquals(parseFlagValue(flag, "tum"), {
    rule: "auto, ebpf or tun",
    example: "tun",
  });
  assertEquals(parseFlagValue(flag, "kernel"), {
    rule: "auto, ebpf or tun",
    example: "auto",
  });
});
