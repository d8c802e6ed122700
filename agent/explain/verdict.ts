/**
 * What happens to the packet, and which side drops it.
 *
 * @module
 */

import type { Finding, Outcome } from "../../net/finding.ts";

/** Where a stage is. */
export type Side = "this host" | "way" | "other host";

/** A finding, and where. */
export interface SidedFinding extends Finding {
  readonly side: Side;
}

/** The last line of an explanation. */
export interface Verdict {
  /** `delivered`, as far as can be seen; `dropped`, for sure. */
  readonly verdict: "delivered" | "dropped" | "unknown";
  /** To blame; `null` if nothing is. */
  readonly side: Side | null;
  readonly stage: string | null;
  readonly text: string;
  readonly fix: string | null;
}

/** The first stage that drops the packet decides, whatever cannot be seen. */
export function verdictOf(findings: readonly SidedFinding[]): Verdict {
  const of = (outcome: Outcome) =>
    findings.filter((finding) => finding.outcome === outcome);
  const [lost] = of("drop");
  if (lost !== undefined) {
    const { fix, side, stage, text } = lost;
    return { verdict: "dropped", side, stage, text, fix: fix ?? null };
  }
  const unseen = of("unknown");
  if (unseen.length === 0) {
    return {
      verdict: "delivered",
      side: null,
      stage: null,
      text: "nothing drops the packet",
      fix: null,
    };
  }
  const named = unseen.map(({ side, stage }) =>
    side === "this host" ? stage : `${stage} (${side})`
  );
  return {
    verdict: "unknown",
    side: null,
    stage: null,
    text: `nothing that can be seen drops the packet; not seen: ${
      [...new Set(named)].join(", ")
    }`,
    fix: unseen.find(({ fix }) => fix !== undefined)?.fix ?? null,
  };
}
