/**
 * Totals from the JUnit report that `deno test` writes, and from its last line.
 *
 * @module
 */

/** How many tests ended how. Steps of a test are part of it. */
export interface TestTotals {
  readonly passed: number;
  readonly failed: number;
  /** Ignored, or never reached because their file failed before. */
  readonly notRun: number;
}

/** What failed, a test or a step of one. */
export interface TestFailure {
  /** `./tests/file_test.ts => name`. */
  readonly name: string;
  /** The error and its trace. */
  readonly text: string;
}

/** A report's totals, and its failures in its order. */
export interface TestReport extends TestTotals {
  readonly failures: readonly TestFailure[];
}

/** Reads a report. */
export function parseJunit(xml: string): TestReport {
  let passed = 0;
  let failed = 0;
  let notRun = 0;
  const failures: TestFailure[] = [];
  for (const suite of xml.matchAll(/<testsuite .*?<\/testsuite>/gs)) {
    const names = new Set<string>();
    const file = /<testsuite name="([^"]*)"/.exec(suite[0])?.[1] ?? "";
    const cases = suite[0].matchAll(
      /<testcase name="([^"]*)"[^>]*?(?:\/>|>(.*?)<\/testcase>)/gs,
    );
    for (const [, name, content = ""] of cases) {
      const failure = /<(failure|error)\b[^>]*>(.*?)<\/\1>/s.exec(content);
      if (failure !== null) {
        failures.push({
          name: plainText(`${file} =&gt; ${name}`),
          text: plainText(failure[2]!),
        });
      }
      if (isStep(name!, names)) continue;
      names.add(name!);
      if (failure !== null) failed += 1;
      else if (/<skipped\b/.test(content)) notRun += 1;
      else passed += 1;
    }
  }
  return { passed, failed, notRun, failures };
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  apos: "'",
  gt: ">",
  lt: "<",
  quot: '"',
};

function plainText(xml: string): string {
  return xml.replaceAll(/&(\w+);/g, (all, name) => ENTITIES[name] ?? all);
}

/** What the last line of `deno test` says beyond the report. */
export interface TestSummary {
  /** Files that failed outside their tests included. */
  readonly failed: number;
  /** Left out by `--filter`; in the report they look like ignored ones. */
  readonly filteredOut: number;
}

/** Reads the last line, with or without colours. */
export function parseSummary(text: string): TestSummary {
  // deno-lint-ignore no-control-regex -- the colours are control characters
  const plain = text.replaceAll(/\x1b\[[\d;]*m/g, "");
  const line = [...plain.matchAll(/^(?:ok|FAILED) \|.*$/gm)].at(-1)?.[0] ?? "";
  const number = (what: string) =>
    Number(new RegExp(`\\| (\\d+) ${what}`).exec(line)?.[1] ?? 0);
  return { failed: number("failed"), filteredOut: number("filtered out") };
}

/** A step is called `test > step`, and comes after its test. */
function isStep(name: string, tests: ReadonlySet<string>): boolean {
  const separator = " &gt; ";
  for (
    let end = name.indexOf(separator);
    end >= 0;
    end = name.indexOf(separator, end + 1)
  ) {
    if (tests.has(name.slice(0, end))) return true;
  }
  return false;
}
