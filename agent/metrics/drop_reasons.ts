/**
 * How metrics call the drops that the data path counts.
 *
 * The words are those of the counters (docs/datapath.md), so that `loden status`,
 * the log and the metrics use one vocabulary: `rx.drop.wrongSource` is
 * `{direction="receive",reason="wrong_source"}`.
 *
 * @module
 */

import { isDropCounter } from "../../net/dropped_packet.ts";

/** OpenTelemetry's `network.io.direction`. */
export const DIRECTIONS = ["transmit", "receive"] as const;

/** The labels of a drop. */
export interface DropLabels {
  readonly direction: typeof DIRECTIONS[number];
  readonly reason: string;
}

/** The labels of a counter of drops; `undefined` for other counters. */
export function dropLabels(counter: string): DropLabels | undefined {
  if (!isDropCounter(counter)) return undefined;
  const [direction, ...words] = counter.split(".");
  return {
    direction: direction === "tx" ? "transmit" : "receive",
    reason: snakeCase(words.filter((word) => word !== "drop").join("_")),
  };
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
