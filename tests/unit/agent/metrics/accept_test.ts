import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { prefersOpenMetrics } from "../../../../agent/metrics/accept.ts";

/** What Prometheus 2 and 3 send. */
const PROMETHEUS_2 = "application/openmetrics-text;version=1.0.0;q=0.5," +
  "application/openmetrics-text;version=0.0.1;q=0.4," +
  "text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

Deno.test("OpenMetrics is for scrapers that prefer it", () => {
  for (
    const accept of [
      PROMETHEUS_2,
      "application/openmetrics-text",
      'application/openmetrics-text; version="1.0.0"; charset=utf-8',
      "text/plain;q=0.5, APPLICATION/OPENMETRICS-TEXT;q=0.5",
    ]
  ) {
    assertEquals(prefersOpenMetrics(accept), true, accept);
  }
});

Deno.test("all others get Prometheus' text", () => {
  for (
    const accept of [
      undefined,
      "",
      "*/*",
      "text/html,application/xhtml+xml,*/*;q=0.8",
      "text/plain, application/openmetrics-text;q=0.9",
      "application/openmetrics-text;version=0.0.1",
      "application/openmetrics-text;q=0",
      "application/openmetrics-text;q=nonsense",
    ]
  ) {
    assertEquals(prefersOpenMetrics(accept), false, accept);
  }
});

Deno.test("no Accept header makes it throw", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (accept) => {
    prefersOpenMetrics(accept);
  }));
});
