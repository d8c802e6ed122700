import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseDotenv } from "../../../linux/dotenv.ts";

const CASES: readonly [string, Record<string, string>][] = [
  ["A=1\nB=2\n", { A: "1", B: "2" }],
  ["A=1\r\nB=2", { A: "1", B: "2" }],
  ["export A=1", { A: "1" }],
  ["  A = 1  ", { A: "1" }],
  ["A: 1", { A: "1" }],
  ["A=1\nA=2", { A: "2" }],
  ["A=", { A: "" }],
  [`A="x y" # c`, { A: "x y" }],
  [`A='x "y"'`, { A: `x "y"` }],
  [`A="say \\"hi\\""`, { A: `say "hi"` }],
  ["A=x # comment", { A: "x" }],
  ["A=x#y", { A: "x#y" }],
  ["A=#y", { A: "" }],
  ["# A=1", {}],
  ["nonsense\n=1\n1A=2\n", {}],
  ["A=fc00::1/64", { A: "fc00::1/64" }],
  ["A=--bip=1", { A: "--bip=1" }],
];

for (const [text, expected] of CASES) {
  Deno.test(`${JSON.stringify(text)} holds ${JSON.stringify(expected)}`, () => {
    assertEquals(Object.fromEntries(parseDotenv(text)), expected);
  });
}

Deno.test("any text can be read", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    parseDotenv(text);
  }));
});
