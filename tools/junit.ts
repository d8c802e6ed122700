/**
 * Totals from the JUnit report that `deno test` writes, and from its last line.
 *
 * @module
 */

/** How many tests ended how. A step is part of its test, unless it did not run. */
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

/** One `testcase` of the report. */
interface Case {
  /** `./tests/file_test.ts`, or where `describe` and `it` are defined. */
  readonly file: string;
  /** `test > step`, as the report has it. */
  readonly name: string;
  readonly failure: string | undefined;
  readonly skipped: boolean;
}

/**
 * Reads a report. A test counts once, however many steps it has; a step that did
 * not run counts as such. A `describe`
 * is a test to Deno and each `it` a step of it: there each `it` counts, and the
 * `describe` only when it failed outside of them.
 */
export function parseJunit(xml: string): TestReport {
  let passed = 0;
  let failed = 0;
  let notRun = 0;
  const failures: TestFailure[] = [];
  const cases = casesOf(xml);
  const names = new Map<string, Set<string>>();
  const parents = new Set<string>();
  /** Where a `describe` is written. */
  const files = new Map<string, string>();
  for (const { file, name } of cases) {
    if (!isWrittenIn(file)) {
      outerNames(name).forEach((each) => parents.add(each));
    }
  }
  for (const { file, name, failure, skipped } of cases) {
    const isDescribe = parents.has(name);
    if (isDescribe && isWrittenIn(file)) files.set(name, file);
    if (isDescribe && (failure === undefined || OF_STEPS.test(failure))) {
      continue;
    }
    if (failure !== undefined) {
      const where = isWrittenIn(file)
        ? file
        : outerNames(name).map((each) => files.get(each)).find(Boolean) ?? file;
      failures.push({
        name: plainText(`${where} =&gt; ${name}`),
        text: plainText(failure),
      });
    }
    if (isWrittenIn(file)) {
      const tests = names.get(file) ?? new Set();
      if (outerNames(name).some((each) => tests.has(each))) {
        if (skipped) notRun += 1;
        continue;
      }
      names.set(file, tests.add(name));
    }
    if (failure !== undefined) failed += 1;
    else if (skipped) notRun += 1;
    else passed += 1;
  }
  return { passed, failed, notRun, failures };
}

/** What a test says of which only steps have failed. */
const OF_STEPS = /^\d+ test steps? failed/;

function casesOf(xml: string): Case[] {
  return [...xml.matchAll(/<testsuite .*?<\/testsuite>/gs)].flatMap(
    ([suite]) => {
      const file = /<testsuite name="([^"]*)"/.exec(suite)?.[1] ?? "";
      const cases = suite.matchAll(
        /<testcase name="([^"]*)"[^>]*?(?:\/>|>(.*?)<\/testcase>)/gs,
      );
      return [...cases].map(([, name, content = ""]) => ({
        file,
        name: name!,
        failure: /<(failure|error)\b[^>]*>(.*?)<\/\1>/s.exec(content)?.[2],
        skipped: /<skipped\b/.test(content),
      }));
    },
  );
}

/** Whether it is a file of the tests, not the library of `describe` and `it`. */
function isWrittenIn(file: string): boolean {
  return file.startsWith("./");
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

/** `a > b > c` lies in `a` and in `a > b`. */
function outerNames(name: string): string[] {
  const separator = " &gt; ";
  const names: string[] = [];
  for (
    let end = name.indexOf(separator);
    end >= 0;
    end = name.indexOf(separator, end + 1)
  ) names.push(name.slice(0, end));
  return names;
}
