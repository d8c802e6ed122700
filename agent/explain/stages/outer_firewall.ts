/**
 * The chains that the outer packet passes, on either host.
 *
 * @module
 */

import type { Judgement } from "../../../net/finding.ts";
import { trafficText } from "../../../net/underlay.ts";
import { valueOf } from "../fact.ts";
import type { ReceiveSnapshot, SendSnapshot } from "../snapshot.ts";
import { filterFix } from "./filter_fix.ts";
import { judgeFirewall } from "./shared.ts";

/** See the module. */
export function judgeOuterFilter(
  { inspection, outerFirewall, overlay }: SendSnapshot | ReceiveSnapshot,
): Judgement | undefined {
  const traffic = inspection && valueOf(inspection)?.traffic;
  if (traffic === undefined || outerFirewall === undefined) return undefined;
  return judgeFirewall(outerFirewall, {
    subject: trafficText(traffic),
    fix: filterFix(
      valueOf(outerFirewall)?.verdict,
      valueOf(overlay),
      traffic,
    ),
  });
}
