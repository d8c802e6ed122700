/**
 * Which of the data path's counters are drops, and how metrics call them.
 *
 * The words are those of the counters (docs/datapath.md), so that `loden status`,
 * the log and the metrics use one vocabulary: `rx.drop.wrongSource` is
 * `{direction="receive",reason="wrong_source"}`.
 *
 * @module
 */

/** OpenTelemetry's `network.io.direction`. */
export const DIRECTIONS = ["transmit", "receive"] as const;

/** The labels of a drop. */
export interface DropLabels {
  readonly direction: typeof DIRECTIONS[number];
  readonly reason: string;
}

/** The labels of a counter of drops; `undefined` for other counters. */
export function dropLabels(counter: string): DropLabels | undefined {
  const match = /^(tx|rx)\.(slow\.)?drop\.(\w+)$/.exec(counter);
  if (match === null) return undefined;
  const [, direction, slow, name] = match;
  return {
    direction: direction === "tx" ? "transmit" : "receive",
    reason: (slow === undefined ? "" : "slow_") + snakeCase(name!),
  };
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
