/**
 * How long ago something was, for people.
 *
 * @module
 */

/** `5 s`, `3 min`, `2 h` or `4 d`; `undefined` for a time that is unknown. */
export function describeAge(
  time: string | null | undefined,
  nowMs: number,
): string | undefined {
  // An agent of an earlier version does not say some times.
  if (time === null || time === undefined) return undefined;
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(time)) / 1e3));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}
