/**
 * How long a lease lives, and when it is renewed.
 *
 * @module
 */

import { SettingsError } from "./errors.ts";
import type { ChosenValues } from "./precedence.ts";

/**
 * Refuses a margin that leaves nothing of the TTL. The default margin is no
 * choice of anybody's: a shorter TTL takes half of itself as its margin.
 *
 * @throws {SettingsError}
 */
export function checkLeaseTimes(chosen: ChosenValues): void {
  const ttlSeconds = chosen.values["subnet-lease-ttl"];
  const marginSeconds = chosen.values["subnet-lease-renew-margin"] * 60;
  const { provenance } = chosen.entries.find(({ flag }) =>
    flag.name === "subnet-lease-renew-margin"
  )!;
  if (provenance.source === "default" || marginSeconds < ttlSeconds) return;
  throw new SettingsError(
    "settings.renew-margin",
    `Cannot use the settings: ${chosen.where("subnet-lease-renew-margin")} ` +
      `must be shorter than ${chosen.where("subnet-lease-ttl")}: current ` +
      `values are ${marginSeconds} and ${ttlSeconds} seconds`,
    {
      hint: "give a longer --subnet-lease-ttl, or leave the margin out: half " +
        "of the TTL is used then",
    },
  );
}
