import { assertEquals } from "@std/assert";
import { Durations } from "../../../../agent/metrics/durations.ts";

Deno.test("buckets are cumulative, a bound belongs to its bucket, and each set of labels has its own", () => {
  const durations = new Durations([0.1, 1]);
  for (const seconds of [0.1, 0.5, 7]) {
    durations.observe({ op: "get" }, seconds);
  }
  durations.observe({ op: "list" }, 0.01);
  const shown = durations.samples().map(({ labels, suffix, value }) =>
    `${suffix} ${Object.values(labels!).join()} ${value}`
  );
  assertEquals(shown, [
    "_bucket get,0.1 1",
    "_bucket get,1.0 2",
    "_bucket get,+Inf 3",
    "_sum get 7.6",
    "_count get 3",
    "_bucket list,0.1 1",
    "_bucket list,1.0 1",
    "_bucket list,+Inf 1",
    "_sum list 0.01",
    "_count list 1",
  ]);
});
