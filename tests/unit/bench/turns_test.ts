import { assert, assertEquals, assertRejects } from "@std/assert";
import type { MeasuredPath } from "../../../bench/paths/measured_path.ts";
import { inLongTurns, inShortTurns } from "../../../bench/turns.ts";

const SECONDS = 0.15;
const { signal } = new AbortController();

/** A path that writes down what happens to it. */
function path(
  name: string,
  events: string[],
  answers = true,
): MeasuredPath {
  const stdout = `3 packets transmitted, ${answers ? 3 : 0} received`;
  const namespace = { attempt: () => Promise.resolve({ stdout }) };
  return {
    name,
    thaw: () => events.push(`thaw ${name}`),
    freeze: () => events.push(`freeze ${name}`),
    link: {
      client: { namespace },
      server: { address: "10.1.2.3" },
    },
  } as unknown as MeasuredPath;
}

Deno.test("in long turns, only the path that is measured runs", async () => {
  const events: string[] = [];
  const figures = await inLongTurns(
    [path("a", events), path("b", events)],
    ({ name }) => {
      events.push(`measure ${name}`);
      return Promise.resolve({ tcpGbps: events.length });
    },
    signal,
  );
  assertEquals(events, [
    ...["thaw a", "measure a", "freeze a"],
    ...["thaw b", "measure b", "freeze b"],
  ]);
  assertEquals(figures, [[{ tcpGbps: 2 }], [{ tcpGbps: 5 }]]);
});

Deno.test("in short turns, another path is the first in each round, and the figures are in the order of the turns", async () => {
  const events: string[] = [];
  let turns = 0;
  let closed = 0;
  const figures = await inShortTurns(
    [path("a", events), path("b", events)],
    ({ name }, programs) => {
      programs.defer(() => void closed++);
      return Promise.resolve((milliseconds) => {
        assert(milliseconds > 0);
        events.push(name);
        return Promise.resolve({ pps64: turns++ });
      });
    },
    SECONDS,
    signal,
  );
  assertEquals(events, [
    ...["thaw a", "thaw b"],
    ...["a", "b", "b", "a", "a", "b"],
    ...["freeze a", "freeze b"],
  ]);
  assertEquals(figures, [
    [{ pps64: 0 }, { pps64: 3 }, { pps64: 4 }],
    [{ pps64: 1 }, { pps64: 2 }, { pps64: 5 }],
  ]);
  assertEquals(closed, 2);
});

Deno.test("a path whose other end does not answer is not measured, and its programs end", async () => {
  const events: string[] = [];
  let closed = 0;
  await assertRejects(
    () =>
      inShortTurns(
        [path("a", events), path("b", events, false)],
        (_, programs) => {
          programs.defer(() => void closed++);
          return Promise.resolve(() => Promise.resolve({}));
        },
        SECONDS,
        signal,
      ),
    Error,
    "Cannot measure b: 10.1.2.3 must answer a ping",
  );
  assertEquals(closed, 1);
  assertEquals(events.slice(-2), ["freeze a", "freeze b"]);
});
