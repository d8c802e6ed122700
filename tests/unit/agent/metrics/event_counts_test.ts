import { assert, assertEquals } from "@std/assert";
import { getLogger, type LogRecord } from "@logtape/logtape";
import { EventCounts } from "../../../../agent/metrics/event_counts.ts";
import { configureLogging } from "../../../../agent/logging/logging.ts";

const ROOT = new URL("../../../../", import.meta.url);

Deno.test("records that are written are counted by level and event", () => {
  const counts = new EventCounts();
  configureLogging(
    { format: "text", verbosity: 0, observe: counts.count },
    {
      writeSync: (bytes) => bytes.length,
      isTerminal: () => false,
      isJournal: () => false,
    },
  );
  const log = getLogger(["loden", "firewall"]);
  log.info("rules set", { event: "firewall.set" });
  log.info("rules set", { event: "firewall.set" });
  log.warn("config refused", { event: "config.refused" });
  log.debug("not written", { event: "config.unwatched" });
  assertEquals(counts.event("firewall.set"), 2);
  assertEquals(counts.event("config.unwatched"), 0);
  assertEquals([counts.level("info"), counts.level("warning")], [2, 1]);
});

Deno.test("a record without an event counts for its level alone", () => {
  const counts = new EventCounts();
  counts.count({ level: "error", properties: {} } as LogRecord);
  assertEquals(counts.level("error"), 1);
});

Deno.test("every event that a metric counts is in the log's documentation", () => {
  const text = Deno.readTextFileSync(
    new URL("agent/metrics/collect.ts", ROOT),
  );
  const documented = Deno.readTextFileSync(new URL("docs/logging.md", ROOT));
  const events = [...text.matchAll(/"((?:backend|config|firewall)\.[a-z-]+)"/g)]
    .map(([, event]) => event!);
  assert(events.length >= 6);
  assertEquals(
    events.filter((event) => !documented.includes(`\n| \`${event}\``)),
    // A warning's code.
    [],
  );
});
