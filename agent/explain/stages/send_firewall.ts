/**
 * The host's firewall, Docker's rules in it included.
 *
 * @module
 */

import type { HookVerdict } from "../../../host/firewall/evaluate/chains.ts";
import { drop, type Judgement, ok, unknown } from "../../../net/finding.ts";
import { valueOf } from "../fact.ts";
import type { SendSnapshot } from "../snapshot.ts";
import { filterFix } from "./filter_fix.ts";
import { judgeFirewall, ruleText } from "./shared.ts";

/** The chains that an inner packet passes; with `--send`, what they have really done. */
export function judgeFilter(
  { firewall, overlay, route, trace }: SendSnapshot,
): Judgement | undefined {
  if (firewall === undefined || valueOf(route)?.kind === "refused") {
    return undefined;
  }
  const fixOf = (verdict: HookVerdict | undefined) =>
    filterFix(verdict, valueOf(overlay));
  const verdict = valueOf(firewall)?.verdict;
  const evaluated = judgeFirewall(firewall, {
    subject: "the packet",
    fix: fixOf(verdict),
  });
  if (trace === undefined) return evaluated;
  if (!trace.seen) {
    const text = `${evaluated.text}; --send: ${trace.why}`;
    return { ...evaluated, text };
  }
  const fate = trace.value;
  switch (fate.kind) {
    case "left":
      return ok("a packet that was sent has passed all rules of this host");
    case "dropped":
      return drop(
        `the firewall has dropped a packet that was sent: ${ruleText(fate.by)}`,
        fixOf({ verdict: "drop", by: fate.by }),
      );
    case "lost":
      return unknown(
        "a packet that was sent has not left this host, and no rule of nftables " +
          `has dropped it; it passed ${
            fate.chains.length === 0 ? "no chain" : fate.chains.join(", ")
          }`,
        "look at rules of the old iptables (iptables-legacy-save), and of the " +
          "container itself",
      );
  }
}
