/**
 * What was found at one stage of a packet's way.
 *
 * @module
 */

/** `unknown`: it cannot be seen from here, which accuses nothing. */
export type Outcome = "ok" | "drop" | "unknown";

/** A stage and what a packet meets there. */
export interface Finding {
  /** A short name of the stage, an interface: `route`, `peer`. */
  readonly stage: string;
  readonly outcome: Outcome;
  /** For an operator. */
  readonly text: string;
  /** What to type, or to do, so that the packet passes. */
  readonly fix?: string;
}

/** What a stage says of itself; its name is known. */
export type Judgement = Omit<Finding, "stage">;

/** The packet passes. */
export function ok(text: string): Judgement {
  return { outcome: "ok", text };
}

/** The packet is lost here. */
export function drop(text: string, fix: string): Judgement {
  return { outcome: "drop", text, fix };
}

/** Nothing can be said, and why. */
export function unknown(text: string, fix?: string): Judgement {
  return { outcome: "unknown", text, ...fix !== undefined && { fix } };
}
