import { assertEquals, assertRejects } from "@std/assert";
import { metricsHandler } from "../../../../agent/metrics/metrics_route.ts";
import type { Family } from "../../../../agent/metrics/metric.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";

const PLAIN = { headers: new Map<string, string>() };
const OPEN = {
  headers: new Map([["accept", "application/openmetrics-text"]]),
};

const FAMILY: Family = {
  metric: { name: "loden_ready", type: "gauge", help: "Ready." },
  samples: [{ value: 1 }],
};

Deno.test("a thousand scrapes in a second read the values once, and the next second once more", async () => {
  const clock = new FakeClock();
  let reads = 0;
  const route = metricsHandler(clock, () => {
    reads++;
    return Promise.resolve([FAMILY]);
  });
  const answers = await Promise.all(
    Array.from({ length: 1_000 }, () => route(PLAIN)),
  );
  assertEquals(reads, 1);
  assertEquals(new Set(answers).size, 1);
  await clock.advance(999);
  await route(PLAIN);
  assertEquals(reads, 1);
  await clock.advance(1);
  await route(PLAIN);
  assertEquals(reads, 2);
});

Deno.test("each format has its own copy", async () => {
  const route = metricsHandler(
    new FakeClock(),
    () => Promise.resolve([FAMILY]),
  );
  const [plain, open] = await Promise.all([
    route(PLAIN),
    route(OPEN),
  ]);
  assertEquals(
    [plain.contentType, open.contentType].map((type) => type!.split(";")[0]),
    ["text/plain", "application/openmetrics-text"],
  );
});

Deno.test("a failure is not kept for the next scrape", async () => {
  let fails = true;
  const route = metricsHandler(
    new FakeClock(),
    () => fails ? Promise.reject(new Error("gone")) : Promise.resolve([FAMILY]),
  );
  await assertRejects(() => route(PLAIN), Error, "gone");
  fails = false;
  assertEquals((await route(PLAIN)).status, 200);
});
