// From counters to rates: what the charts show.

/** How far the charts look back. */
export const WINDOW_MS = 300_000;
/** Beyond this pause the line of a chart has a gap: the page was asleep. */
const LONGEST_PAUSE_MS = 15_000;

/** As `isDropCounter` of net/dropped_packet.ts. */
export const DROP = /\.drop\.|^rx\.legacySignals$/;

/** Drops by reason, and their sum. */
export function dropsOf(counters) {
  const reasons = Object.entries(counters)
    .filter(([name, value]) => DROP.test(name) && value > 0)
    .sort(([, a], [, b]) => b - a);
  return {
    reasons,
    total: reasons.reduce((sum, [, value]) => sum + value, 0),
  };
}

/**
 * Remembers rates. A sample's time is the agent's, so that a slow answer does not
 * bend the line.
 */
export class Rates {
  #points = [];
  #last;

  /** All rates a second: `{ atMs, rates }`; `rates` is undefined for a gap. */
  get points() {
    return this.#points;
  }

  /** The rate of a counter between the last two samples. */
  now(name) {
    return this.#points.at(-1)?.rates?.[name];
  }

  /** `source` is who counts: another process begins at 0. */
  add({ atMs, source, counters }) {
    const last = this.#last;
    const passedMs = last === undefined ? 0 : atMs - last.atMs;
    if (last !== undefined && passedMs === 0) return;
    // The clock was set back.
    if (passedMs < 0) this.#points = [];
    this.#last = { atMs, source, counters };
    const follows = last?.source === source && passedMs > 0 &&
      passedMs <= LONGEST_PAUSE_MS;
    this.#points.push({
      atMs,
      rates: follows
        ? ratesBetween(last.counters, counters, passedMs / 1000)
        : undefined,
    });
    while (this.#points[0].atMs < atMs - WINDOW_MS) this.#points.shift();
  }
}

/** Undefined if a counter went back: it began again. */
function ratesBetween(before, after, seconds) {
  const rates = {};
  for (const [name, value] of Object.entries(after)) {
    const difference = value - (before[name] ?? 0);
    if (difference < 0) return undefined;
    rates[name] = difference / seconds;
  }
  return rates;
}

/** The next of 1, 2, 5, 10, 20 … */
export function niceCeiling(value, least) {
  const wanted = Math.max(value, least);
  const power = 10 ** Math.floor(Math.log10(wanted));
  const factor = [1, 2, 5, 10].find((each) => each * power >= wanted * 0.9999);
  return factor * power;
}
