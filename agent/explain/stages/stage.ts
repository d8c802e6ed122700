/**
 * The stages of one side, and what they find.
 *
 * @module
 */

import type { Inspection } from "../../../backend/inspection.ts";
import type { Finding, Judgement } from "../../../net/finding.ts";
import type { Fact } from "../fact.ts";

/** `undefined`: the packet does not meet this stage. */
export type Stage<Snapshot> = (snapshot: Snapshot) => Judgement | undefined;

/** By their names, in the order in which a packet meets them. */
export type Stages<Snapshot> = Readonly<Record<string, Stage<Snapshot>>>;

/** What each stage finds. */
export function findings<Snapshot>(
  stages: Stages<Snapshot>,
  snapshot: Snapshot,
): Finding[] {
  return Object.entries(stages).flatMap(([stage, judge]) => {
    const judgement = judge(snapshot);
    return judgement === undefined ? [] : [{ stage, ...judgement }];
  });
}

/** What the backend finds; nothing if no backend carries the packet. */
export function backendFindings(
  inspection: Fact<Inspection> | undefined,
): readonly Finding[] {
  if (inspection === undefined) return [];
  return inspection.seen ? inspection.value.findings : [{
    stage: "peer entry",
    outcome: "unknown",
    text: `what the backend has set up cannot be seen: ${inspection.why}`,
  }];
}

/** A packet that is dropped meets nothing more. */
export function untilDropped(findings: readonly Finding[]): Finding[] {
  const end = findings.findIndex(({ outcome }) => outcome === "drop");
  return end < 0 ? [...findings] : findings.slice(0, end + 1);
}
