/**
 * What `loden doctor` finds out: one fact each.
 *
 * @module
 */

import type { FindingCode } from "./finding_codes.ts";

/**
 * `note`: worth knowing; `warning`: works, but worse than it could, or a safeguard
 * is missing; `problem`: packets, Docker or a start of the agent are affected. The
 * worst is last.
 */
export const SEVERITIES = ["ok", "note", "warning", "problem"] as const;

/** One of them. */
export type Severity = typeof SEVERITIES[number];

/** One fact. */
export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  /** What was looked at, in a few words. */
  readonly what: string;
  /** What was found, on one line. */
  readonly value: string;
  /** What to do: a command, where there is one. */
  readonly fix?: string;
}

/** Makes a finding of each severity. */
export type FindingsOn = Readonly<
  Record<Severity, (value: string, fix?: string) => Finding>
>;

/** Makes findings with one code about one thing: `fact.warning("is full")`. */
export function findingOn(code: FindingCode, what: string): FindingsOn {
  const make = (severity: Severity) => (value: string, fix?: string) => ({
    code,
    severity,
    what,
    value,
    ...fix !== undefined && { fix },
  });
  return {
    ok: make("ok"),
    note: make("note"),
    warning: make("warning"),
    problem: make("problem"),
  };
}

/** The worst first or last is the caller's choice: this is its rank. */
export function rankOf({ severity }: Pick<Finding, "severity">): number {
  return SEVERITIES.indexOf(severity);
}
