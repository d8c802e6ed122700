/**
 * From which port outer packets leave.
 *
 * @module
 */

import type { Underlay } from "../../../net/underlay.ts";
import type { SourcePortChoice } from "../data_path.ts";

/** With `hash`; the programs' constants say the same. */
export const HASHED_PORTS = "49152-65535";

/** A choice, and why. */
export interface SourcePortDecision {
  readonly sourcePort: "hash" | "fixed";
  /** For `loden status`. */
  readonly reason: string;
}

/**
 * A port per flow lets cards and fabrics distribute flows. Behind a NAT, packets
 * from the network's port keep the NAT's own entry for that port alive, through
 * which the peers' packets may come in.
 */
export function chooseSourcePort(
  choice: SourcePortChoice,
  { address, publicIp }: Pick<Underlay, "address" | "publicIp">,
): SourcePortDecision {
  if (choice !== "auto") {
    return { sourcePort: choice, reason: `set by --source-port=${choice}` };
  }
  return address === publicIp
    ? { sourcePort: "hash", reason: "one per flow" }
    : {
      sourcePort: "fixed",
      reason: "the PublicIP is not this host's, as behind a NAT",
    };
}
