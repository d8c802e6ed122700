/**
 * The host's firewall, Docker's rules in it included.
 *
 * @module
 */

import type { Judgement } from "../../../net/finding.ts";
import { valueOf } from "../fact.ts";
import type { SendSnapshot } from "../snapshot.ts";
import { filterFix } from "./filter_fix.ts";
import { judgeFirewall } from "./shared.ts";

/** The chains that an inner packet passes. */
export function judgeFilter(
  { firewall, overlay, route }: SendSnapshot,
): Judgement | undefined {
  if (firewall === undefined || valueOf(route)?.kind === "refused") {
    return undefined;
  }
  const verdict = valueOf(firewall)?.verdict;
  return judgeFirewall(firewall, {
    subject: "the packet",
    fix: filterFix(verdict, valueOf(overlay)),
  });
}
