/**
 * "Did you mean …?"
 *
 * @module
 */

import { levenshteinDistance } from "@std/text/levenshtein-distance";

/**
 * The candidate that `word` is most likely a misspelling of: at most a third of
 * its letters away, `undefined` when none is. Case, `-` and `_` do not count. A
 * single letter would match any other, so it matches none.
 */
export function nearMatch(
  word: string,
  candidates: Iterable<string>,
): string | undefined {
  const wanted = plain(word);
  if (wanted.length < 2) return undefined;
  const most = Math.max(2, Math.floor(wanted.length / 3));
  const [best] = [...candidates]
    .map((name) => ({ name, away: levenshteinDistance(wanted, plain(name)) }))
    .filter(({ away }) => away <= most && away < wanted.length)
    .sort((a, b) => a.away - b.away);
  return best?.name;
}

function plain(word: string): string {
  return word.toLowerCase().replaceAll(/[-_]/g, "");
}
