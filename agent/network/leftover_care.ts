/**
 * Deals with what another backend has left inside the overlay.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { Leftover } from "../../backend/leftovers.ts";
import { describeError } from "../../errors.ts";
import { LeftoversError } from "../errors.ts";
import type { AgentState } from "../status/state.ts";
import { type RetryComponents, retryUntilDone } from "../tasks/retry.ts";

const log = getLogger(["loden", "agent"]);

/** What it needs. */
export interface LeftoverComponents extends RetryComponents {
  readonly state: AgentState;
}

/** How to deal with them. */
export interface LeftoverOptions {
  /** As of now. */
  readonly find: () => readonly Leftover[];
  readonly remove: (leftover: Leftover) => void;
  /** `--take-over-devices`: remove flannel's as well. */
  readonly takeOver: boolean;
  /** The backend encrypts: packets that follow a leftover leave in clear text. */
  readonly encrypts: boolean;
}

/**
 * Removes Loden's own leftovers, and flannel's if told so. The others are
 * reported; if the backend encrypts, the start waits until they are gone.
 *
 * @throws the signal's reason if aborted.
 */
export async function clearLeftovers(
  components: LeftoverComponents,
  options: LeftoverOptions,
  signal: AbortSignal,
): Promise<void> {
  const { state } = components;
  await retryUntilDone(
    () => {
      const left = careForLeftovers(options, state);
      if (left.length > 0 && options.encrypts) throw new LeftoversError(left);
    },
    components,
    {
      signal,
      onFailure: (error) => state.waitFor("addresses", describeError(error)),
    },
  );
}

/** One round. @returns what is left. */
export function careForLeftovers(
  options: Omit<LeftoverOptions, "encrypts">,
  state: AgentState,
): readonly Leftover[] {
  removeLeftovers(options);
  return reportLeftovers(options.find(), state);
}

function removeLeftovers(
  { find, remove, takeOver }: Omit<LeftoverOptions, "encrypts">,
): void {
  for (const leftover of find()) {
    const { what, owner } = leftover;
    if (owner !== "loden" && !takeOver) continue;
    try {
      remove(leftover);
      log.info("what another backend has left is removed", {
        event: "network.leftover-removed",
        owner,
        what,
      });
    } catch (error) {
      log.warn("what another backend has left cannot be removed", {
        event: "network.leftover-stays",
        owner,
        what,
        error,
      });
    }
  }
}

/** Raises or clears the warning. @returns `leftovers`. */
function reportLeftovers(
  leftovers: readonly Leftover[],
  state: AgentState,
): readonly Leftover[] {
  if (leftovers.length === 0) {
    state.clear("network.leftovers");
    return leftovers;
  }
  const text = describeLeftovers(leftovers);
  if (state.raise("network.leftovers", text)) {
    log.warn("another backend has left routes inside the overlay", {
      event: "network.leftovers",
      leftovers: leftovers.map(({ what, fix }) => `${what}: ${fix}`),
    });
  }
  return leftovers;
}

/** In one line, with what to do. */
function describeLeftovers(leftovers: readonly Leftover[]): string {
  const each = leftovers.map(({ fix, owner, what }) =>
    `${what}, ${owner === "loden" ? "Loden's" : "flannel's"}: ${fix}`
  );
  return `${each.join("; ")}; or start with --take-over-devices`;
}
