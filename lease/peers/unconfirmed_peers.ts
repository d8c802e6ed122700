/**
 * The warning about peers that etcd has not confirmed for a while.
 *
 * @module
 */

import type { Clock } from "../../linux/clock.ts";
import type { Cidr } from "../../net/cidr.ts";
import type { PeerLedger } from "./peer_ledger.ts";

/** A shorter absence of etcd is not worth a word here. */
const QUIET_MS = 10 * 60_000;
/** How long before the end of trust the warning is raised. */
const AHEAD_MS = 24 * 3_600_000;

/**
 * One sentence with the times at which trust ends, once the first of them is at
 * most a day ahead; `undefined` while nothing has to be said. It stays the same
 * while nothing changes but the time.
 */
export function describeUnconfirmed(
  ledger: PeerLedger,
  subnets: readonly Cidr[],
  clock: Pick<Clock, "now">,
): string | undefined {
  const confirmed = subnets.flatMap((subnet) =>
    ledger.ageMs(subnet) >= QUIET_MS ? ledger.confirmedAtMs(subnet) ?? [] : []
  );
  if (confirmed.length === 0) return undefined;
  // Thousands are more than a call has arguments for.
  const sinceMs = confirmed.reduce((a, b) => Math.min(a, b));
  const { ttlSeconds, graceSeconds, savedSeconds, knownSeconds } = ledger.times;
  const savedEndMs = sinceMs + savedSeconds * 1_000;
  const kernelEndMs = sinceMs + (ttlSeconds + graceSeconds) * 1_000;
  const knownEndMs = sinceMs + knownSeconds * 1_000;
  const ends = [savedEndMs, kernelEndMs];
  if (knownSeconds > 0) ends.push(knownEndMs);
  if (Math.min(...ends) - clock.now() > AHEAD_MS) return undefined;
  const parts = [
    `etcd has not confirmed ${confirmed.length} peers since ${time(sinceMs)}`,
    `a start without etcd does not use them after ${time(savedEndMs)} ` +
    `(--trust-saved-peers)`,
    `without the agent, packets to them end soon after ${time(kernelEndMs)}`,
  ];
  if (knownSeconds > 0) {
    parts.push(
      `this agent stops using them at ${
        time(knownEndMs)
      } (--trust-known-peers)`,
    );
  }
  return `${parts.join("; ")}: bring etcd back (loden doctor)`;
}

/** RFC 3339, seconds: clocks differ by less than that from look to look. */
function time(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1_000);
  return new Date(seconds * 1_000).toISOString().replace(".000Z", "Z");
}
