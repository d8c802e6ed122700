import { assertEquals } from "@std/assert";
import { parseEnvironmentFile } from "../../../commands/environment_files.ts";

const CASES: readonly [string, Record<string, string>][] = [
  ["A=1\nB=2\n", { A: "1", B: "2" }],
  ["A=1\r\nB=2", { A: "1", B: "2" }],
  ["  A = 1  \n", { A: "1" }],
  ["A=1\nA=2", { A: "2" }],
  ["A=\nB=1", { A: "", B: "1" }],
  ["# A=1\n; B=2\n", {}],
  ["A: 1\nexport B=2\nnonsense\n=1\n1A=2\n", {}],
  // systemd knows comments only where a line begins with them.
  ["A=eth1   # the private network", { A: "eth1   # the private network" }],
  ["A=#y", { A: "#y" }],
  [`A="x y"\nB='x "y" \\d'`, { A: "x y", B: `x "y" \\d` }],
  [`A="x" 'y' z`, { A: "xyz" }],
  [`A=x"y"`, { A: `x"y"` }],
  [`A="say \\"hi\\" \\d \\$B"`, { A: `say "hi" \\d $B` }],
  [`A="one\ntwo"\nB=1`, { A: "one\ntwo", B: "1" }],
  [`A="one\\\ntwo"`, { A: "onetwo" }],
  ["A=^eth\\d$", { A: "^ethd$" }],
  ["A=one,\\\ntwo\nB=1", { A: "one,two", B: "1" }],
];

for (const [text, expected] of CASES) {
  Deno.test(`systemd reads ${JSON.stringify(text)} as ${JSON.stringify(expected)}`, () => {
    assertEquals(Object.fromEntries(parseEnvironmentFile(text)), expected);
  });
}
