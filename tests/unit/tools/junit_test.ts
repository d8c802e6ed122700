import { assertEquals } from "@std/assert";
import { parseJunit, parseSummary } from "../../../tools/junit.ts";

function totals(xml: string) {
  const { passed, failed, notRun } = parseJunit(xml);
  return { passed, failed, notRun };
}

const SUITES = (inside: string) =>
  `<?xml version="1.0"?>\n<testsuites name="deno test">${inside}</testsuites>`;
const SUITE = (inside: string) =>
  `<testsuite name="./a_test.ts" tests="1">${inside}</testsuite>`;

Deno.test("passed, failed and ignored tests are told apart", () => {
  const xml = SUITES(
    SUITE(`
      <testcase name="one" classname="./a_test.ts" time="0.1" line="1" col="1">
      </testcase>
      <testcase name="two" classname="./a_test.ts" line="1" col="1">
        <failure message="x">Error: x &lt;skipped/&gt;</failure>
      </testcase>
      <testcase name="three" classname="./a_test.ts" line="1" col="1">
        <skipped/>
      </testcase>
      <testcase name="four" classname="./a_test.ts" line="1" col="1"/>`),
  );
  assertEquals(totals(xml), { passed: 2, failed: 1, notRun: 1 });
});

Deno.test("steps are part of their test, also when its name looks like a step's", () => {
  const xml = SUITES(
    SUITE(`
      <testcase name="a &gt; b" line="1"><failure>x</failure></testcase>
      <testcase name="a &gt; b &gt; step" line="1"><failure>x</failure></testcase>
      <testcase name="a &gt; c" line="1"></testcase>`),
  );
  assertEquals(totals(xml), { passed: 1, failed: 1, notRun: 0 });
});

Deno.test("a step that did not run counts, although its test passed", () => {
  const xml = SUITES(
    SUITE(`
      <testcase name="a" line="1"></testcase>
      <testcase name="a &gt; step" line="1"><skipped/></testcase>
      <testcase name="a &gt; other" line="1"></testcase>`),
  );
  assertEquals(totals(xml), { passed: 1, failed: 0, notRun: 1 });
});

Deno.test("what failed is told with its file, steps too, and reads as it was", () => {
  const xml = SUITES(
    SUITE(`
      <testcase name="a &lt;b&gt;" line="1">
        <failure message="Error: x">Error: &quot;x&quot; &amp;
    at here</failure>
      </testcase>
      <testcase name="a &lt;b&gt; &gt; step" line="1">
        <error message="y">Error: y</error>
      </testcase>
      <testcase name="well" line="1"></testcase>`),
  );
  assertEquals(parseJunit(xml).failures, [
    { name: "./a_test.ts => a <b>", text: 'Error: "x" &\n    at here' },
    { name: "./a_test.ts => a <b> > step", text: "Error: y" },
  ]);
  assertEquals(parseJunit(SUITES("")).failures, []);
});

Deno.test("equal names in two files are two tests", () => {
  const suite = SUITE(`<testcase name="a" line="1"></testcase>`);
  assertEquals(totals(SUITES(suite + suite)), {
    passed: 2,
    failed: 0,
    notRun: 0,
  });
});

Deno.test("each it of a describe counts, and a describe only when it failed itself", () => {
  const xml = SUITES(
    SUITE(`
      <testcase name="tun" line="1"></testcase>
      <testcase name="ebpf" line="1">
        <failure message="x">1 test step failed.</failure>
      </testcase>
      <testcase name="broken" line="1"><failure>no rig</failure></testcase>
      <testcase name="broken after" line="1"><failure>bad</failure></testcase>
      <testcase name="plain" line="1"></testcase>`) +
      `<testsuite name="ext:deno_node/testing.ts">
      <testcase name="tun &gt; a" line="1"></testcase>
      <testcase name="tun &gt; inner" line="1"></testcase>
      <testcase name="tun &gt; inner &gt; b" line="1"></testcase>
      <testcase name="ebpf &gt; a" line="1"><failure>x</failure></testcase>
      <testcase name="ebpf &gt; c" line="1"></testcase>
      <testcase name="broken after &gt; d" line="1"></testcase>
      </testsuite>`,
  );
  // Well: a, b, c, d, plain. Not: a of ebpf, broken, the end of broken after.
  assertEquals(totals(xml), { passed: 5, failed: 3, notRun: 0 });
  assertEquals(parseJunit(xml).failures.map(({ name }) => name), [
    "./a_test.ts => broken",
    "./a_test.ts => broken after",
    "./a_test.ts => ebpf > a",
  ]);
});

Deno.test("a report without tests has none", () => {
  assertEquals(totals(""), { passed: 0, failed: 0, notRun: 0 });
  assertEquals(totals(SUITES("")), { passed: 0, failed: 0, notRun: 0 });
});

Deno.test("the summary is read, in colour or not", () => {
  const plain =
    "FAILED | 1 passed (1 step) | 2 failed (1 step) | 1 ignored (7ms)";
  const colour =
    "\n\x1b[0m\x1b[31mFAILED\x1b[0m | 90 passed | 12 failed (1s)\n\n";
  const filtered = "ok | 5 passed | 0 failed | 3 filtered out (9s)";
  assertEquals(parseSummary(plain), { failed: 2, filteredOut: 0 });
  assertEquals(parseSummary(colour), { failed: 12, filteredOut: 0 });
  assertEquals(parseSummary(filtered), { failed: 0, filteredOut: 3 });
  assertEquals(parseSummary("error: Type checking failed."), {
    failed: 0,
    filteredOut: 0,
  });
});
