/**
 * The findings for people.
 *
 * @module
 */

import type { Terminal } from "../command.ts";
import { type Line, plain, renderLines } from "../terminal/lines.ts";
import { type Finding, SEVERITIES, type Severity } from "./finding.ts";

/** On a narrower terminal, what was found stands on a line of its own. */
const LEAST_COLUMNS = 72;
const SEVERITY_COLUMNS = Math.max(...SEVERITIES.map(({ length }) => length));

const PAINTS: Partial<Record<Severity, NonNullable<Line["paint"]>>> = {
  ok: "dim",
  warning: "yellow",
  problem: "red",
};

/** One fact a line, what to do beneath it, and at the end how many are wrong. */
export function renderFindings(
  findings: readonly Finding[],
  terminal: Terminal | undefined,
): string {
  const isNarrow = (terminal?.columns ?? Infinity) < LEAST_COLUMNS;
  const width = Math.max(0, ...findings.map(({ what }) => what.length));
  const lines = findings.flatMap((finding) =>
    isNarrow ? narrow(finding) : wide(finding, width)
  );
  return renderLines([...lines, plain(summary(findings))], terminal);
}

function wide(
  { fix, severity, value, what }: Finding,
  width: number,
): Line[] {
  const head = `${severity.padEnd(SEVERITY_COLUMNS)}  ${what.padEnd(width)}  `;
  const indent = SEVERITY_COLUMNS + 4;
  return [
    painted({ text: head + value, indent: indent + 2 }, severity),
    ...fix === undefined
      ? []
      : [{ text: `${" ".repeat(indent)}to do: ${fix}`, indent: indent + 2 }],
  ];
}

function narrow({ fix, severity, value, what }: Finding): Line[] {
  return [
    painted({ text: `${severity} ${what}`, indent: 2 }, severity),
    { text: `  ${value}`, indent: 2 },
    ...fix === undefined ? [] : [{ text: `  to do: ${fix}`, indent: 4 }],
  ];
}

function painted(line: Line, severity: Severity): Line {
  const paint = PAINTS[severity];
  return paint === undefined ? line : { ...line, paint };
}

function summary(findings: readonly Finding[]): string {
  const words = (["problem", "warning", "note"] as const)
    .map((severity) => {
      const number = findings.filter((each) => each.severity === severity)
        .length;
      return number === 0
        ? undefined
        : `${number} ${severity}${number === 1 ? "" : "s"}`;
    }).filter((word) => word !== undefined);
  return words.length === 0 ? "nothing to note" : words.join(", ");
}
