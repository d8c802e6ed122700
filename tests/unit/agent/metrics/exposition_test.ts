import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { CONTENT_TYPES, expose } from "../../../../agent/metrics/exposition.ts";
import type { Family } from "../../../../agent/metrics/metric.ts";

const FAMILIES: readonly Family[] = [
  {
    metric: {
      name: "loden_packets_total",
      type: "counter",
      help: "Packets.",
      labels: { direction: ["transmit"] },
    },
    samples: [{ labels: { direction: "transmit" }, value: 3 }],
  },
  {
    metric: { name: "loden_up", type: "gauge", help: "Unknown yet." },
    samples: [],
  },
  {
    metric: {
      name: "loden_info",
      type: "gauge",
      help: "Info.",
      labels: { subnet: "any" },
    },
    samples: [{ labels: { subnet: 'a"b\\c\nd' }, value: 1 }],
  },
  {
    metric: { name: "loden_wait_seconds", type: "histogram", help: "Waits." },
    samples: [
      { labels: { le: "0.1" }, value: 1, suffix: "_bucket" },
      { labels: { le: "+Inf" }, value: 2, suffix: "_bucket" },
      { value: 0.5, suffix: "_sum" },
      { value: 2, suffix: "_count" },
    ],
  },
];

Deno.test("Prometheus' text has help, type and every sample, escaped, and no value that is not known", () => {
  assertEquals(
    expose(FAMILIES, "prometheus"),
    `# HELP loden_packets_total Packets.
# TYPE loden_packets_total counter
loden_packets_total{direction="transmit"} 3
# HELP loden_up Unknown yet.
# TYPE loden_up gauge
# HELP loden_info Info.
# TYPE loden_info gauge
loden_info{subnet="a\\"b\\\\c\\nd"} 1
# HELP loden_wait_seconds Waits.
# TYPE loden_wait_seconds histogram
loden_wait_seconds_bucket{le="0.1"} 1
loden_wait_seconds_bucket{le="+Inf"} 2
loden_wait_seconds_sum 0.5
loden_wait_seconds_count 2
`,
  );
});

Deno.test("OpenMetrics names a counter without _total, and ends with EOF", () => {
  const text = expose(FAMILIES, "openmetrics");
  assertStringIncludes(text, "# TYPE loden_packets counter\n");
  assertStringIncludes(
    text,
    '\nloden_packets_total{direction="transmit"} 3\n',
  );
  assert(text.endsWith("\n# EOF\n"));
  assert(!text.includes("\n\n"));
  // One text does not change the next.
  assertStringIncludes(
    expose(FAMILIES, "prometheus"),
    "# TYPE loden_packets_total counter\n",
  );
});

Deno.test("the content types are those of the two formats", () => {
  assertEquals(CONTENT_TYPES, {
    prometheus: "text/plain; version=0.0.4; charset=utf-8",
    openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
  });
});
