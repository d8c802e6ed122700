/**
 * Since when the agent has sent packets for each peer.
 *
 * @module
 */

import type { Clock } from "../../linux/clock.ts";
import { formatCidr } from "../../net/cidr.ts";
import type { Ipv4 } from "../../net/ipv4.ts";
import type { Peer, PeerDiff } from "../../net/peer.ts";

interface Entry {
  readonly publicIp: Ipv4;
  readonly sinceMs: number;
}

/** Follows the diffs of the peers. */
export class PeerTimes {
  readonly #clock: Pick<Clock, "now">;
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
  }

  /** A subnet that moves to another host begins again. */
  apply({ added, changed, removed }: PeerDiff): void {
    const sinceMs = this.#clock.now();
    for (const { subnet } of removed) this.#entries.delete(formatCidr(subnet));
    for (const { publicIp, subnet } of [...added, ...changed]) {
      const name = formatCidr(subnet);
      if (this.#entries.get(name)?.publicIp === publicIp) continue;
      this.#entries.set(name, { publicIp, sinceMs });
    }
  }

  /** Milliseconds since 1970; `undefined` for an unknown peer. */
  sinceMs({ subnet }: Pick<Peer, "subnet">): number | undefined {
    return this.#entries.get(formatCidr(subnet))?.sinceMs;
  }
}
