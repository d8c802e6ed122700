import { assertEquals } from "@std/assert";
import { dropLabels } from "../../../../agent/metrics/drop_reasons.ts";

Deno.test("a counter of drops has a direction and its own name as the reason", () => {
  assertEquals(dropLabels("rx.drop.wrongSource"), {
    direction: "receive",
    reason: "wrong_source",
  });
  assertEquals(dropLabels("tx.drop.ttl"), {
    direction: "transmit",
    reason: "ttl",
  });
  assertEquals(dropLabels("rx.slow.drop.tooBig"), {
    direction: "receive",
    reason: "slow_too_big",
  });
  assertEquals(dropLabels("rx.legacySignals"), {
    direction: "receive",
    reason: "legacy_signals",
  });
});

Deno.test("other counters are no drops", () => {
  assertEquals(dropLabels("rx.slow.packets"), undefined);
  assertEquals(dropLabels("tx.packets"), undefined);
});
