import { assertEquals, assertThrows } from "@std/assert";
import {
  medians,
  percentile,
} from "../../../../bench/control/control_figures.ts";
import { firstSyncMs } from "../../../../bench/control/sync_time.ts";

Deno.test("each figure has its own median, of four digits", () => {
  assertEquals(
    medians([
      { joinMs: 1, rejoinMs: 30 },
      { joinMs: 3, rejoinMs: 10 },
      { joinMs: 2.00049, rejoinMs: 20 },
    ]),
    { joinMs: 2, rejoinMs: 20 },
  );
});

Deno.test("a percentile is one of the values: the least that covers its share", () => {
  const values = Array.from({ length: 200 }, (_, index) => 200 - index);
  assertEquals(percentile(values, 0.5), 100);
  assertEquals(percentile(values, 0.99), 198);
  assertEquals(percentile(values, 1), 200);
  assertEquals(percentile([7], 0.01), 7);
  assertThrows(() => percentile([], 0.5), RangeError);
});

Deno.test("the first sync ends when all peers are in the data path, after the last start", () => {
  const line = (second: number, event: string, peers?: number) =>
    JSON.stringify({ time: `2026-01-01T00:00:0${second}.000Z`, event, peers });
  const earlier = [
    line(0, "lease.acquired"),
    line(1, "peers.changed", 100),
  ];
  const log = [
    ...earlier,
    line(2, "lease.acquired"),
    "not JSON",
    line(3, "peers.changed", 7),
    line(5, "peers.changed", 100),
    line(6, "peers.changed", 101),
  ];
  assertEquals(firstSyncMs(log.join("\n"), 100), 3_000);
  assertEquals(firstSyncMs(log.join("\n"), 102), undefined);
  assertEquals(firstSyncMs(line(0, "agent.starting"), 0), undefined);
});
