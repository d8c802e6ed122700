/**
 * Answers `/metrics`.
 *
 * @module
 */

import type { Clock } from "../../linux/clock.ts";
import type { PlainAnswer, PlainRequest } from "../status/request_server.ts";
import { prefersOpenMetrics } from "./accept.ts";
import { CONTENT_TYPES, expose, type Format } from "./exposition.ts";
import type { Family } from "./metric.ts";

/** However many scrapers there are, the values are read once in this time. */
const COPY_MS = 1_000;

interface Copy {
  readonly madeAtMs: number;
  readonly answer: Promise<PlainAnswer>;
}

/** The route; `collect` reads the values. */
export class MetricsRoute {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #collect: () => Promise<readonly Family[]>;
  readonly #copies = new Map<Format, Copy>();

  constructor(
    clock: Pick<Clock, "monotonic">,
    collect: () => Promise<readonly Family[]>,
  ) {
    this.#clock = clock;
    this.#collect = collect;
  }

  /** A copy that is at most one second old. */
  answer({ headers }: Pick<PlainRequest, "headers">): Promise<PlainAnswer> {
    const format = prefersOpenMetrics(headers.get("accept"))
      ? "openmetrics"
      : "prometheus";
    const nowMs = this.#clock.monotonic();
    const copy = this.#copies.get(format);
    if (copy !== undefined && nowMs - copy.madeAtMs < COPY_MS) {
      return copy.answer;
    }
    const answer = this.#write(format);
    this.#copies.set(format, { madeAtMs: nowMs, answer });
    // A failure is not kept.
    answer.catch(() => {
      if (this.#copies.get(format)?.answer === answer) {
        this.#copies.delete(format);
      }
    });
    return answer;
  }

  async #write(format: Format): Promise<PlainAnswer> {
    const text = expose(await this.#collect(), format);
    return {
      status: 200,
      body: new TextEncoder().encode(text),
      contentType: CONTENT_TYPES[format],
    };
  }
}
