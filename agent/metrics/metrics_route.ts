/**
 * Answers `/metrics`.
 *
 * @module
 */

import type { Clock } from "../../linux/clock.ts";
import { keepAnswer } from "../status/kept_answer.ts";
import type { PlainAnswer, PlainRequest } from "../status/http_message.ts";
import { prefersOpenMetrics } from "./accept.ts";
import { CONTENT_TYPES, expose, type Format } from "./exposition.ts";
import type { Family } from "./metric.ts";

/** The route; `collect` reads the values for each format: {@linkcode keepAnswer}. */
export function metricsHandler(
  clock: Pick<Clock, "monotonic">,
  collect: () => Promise<readonly Family[]>,
): (request: Pick<PlainRequest, "headers">) => Promise<PlainAnswer> {
  const answerIn = (format: Format) =>
    keepAnswer(clock, async () => ({
      status: 200,
      body: new TextEncoder().encode(expose(await collect(), format)),
      contentType: CONTENT_TYPES[format],
    }));
  const prometheus = answerIn("prometheus");
  const openMetrics = answerIn("openmetrics");
  return ({ headers }) =>
    prefersOpenMetrics(headers.get("accept")) ? openMetrics() : prometheus();
}
