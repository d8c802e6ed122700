/**
 * What a metric is, and what is measured.
 *
 * @module
 */

/** A metric: what `docs/metrics.md` says about it. */
export interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** One line, without quotes. */
  readonly help: string;
  /**
   * By name: every value that it can have, or, as a text, what it is where only the
   * host decides.
   */
  readonly labels?: Readonly<Record<string, readonly string[] | string>>;
  /** Only with `--metrics-peers`. */
  readonly isPerPeer?: true;
  /** The name in OpenTelemetry's semantic conventions, if there is one. */
  readonly otel?: string;
}

/** One value of a metric, with its labels. */
export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
  /** What follows the metric's name: `_bucket`, `_sum` or `_count`. */
  readonly suffix?: string;
}

/** A metric and its values at one moment; there may be none. */
export interface Family {
  readonly metric: Metric;
  readonly samples: readonly Sample[];
}
