/**
 * The middle of repeated measurements.
 *
 * @module
 */

/** The median; the mean of the two in the middle of an even number. */
export function median(values: readonly number[]): number {
  if (values.length === 0) {
    throw new RangeError(
      "Cannot take a median: there must be at least one value",
    );
  }
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? sorted[middle]!
    : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
