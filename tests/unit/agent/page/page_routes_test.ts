import { assertEquals, assertStringIncludes } from "@std/assert";
import {
  dataHandler,
  documentHandler,
  type PageData,
} from "../../../../agent/page/page_routes.ts";
import type { PlainAnswer } from "../../../../agent/status/http_message.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { bringUp, newAgentState } from "../../../support/agent_state.ts";
import { statusFaults } from "../../../support/status_schema.ts";

/** The routes do not look at it. */
const REQUEST = {
  method: "GET",
  path: "/",
  headers: new Map<string, string>(),
  host: "localhost",
};

Deno.test("/ answers the document with its policy", async () => {
  const answer = await documentHandler()(REQUEST);
  assertEquals(answer.status, 200);
  assertEquals(answer.contentType, "text/html; charset=utf-8");
  assertStringIncludes(
    answer.headers!["content-security-policy"]!,
    "default-src 'none'; script-src 'sha256-",
  );
});

async function read(
  answer: PlainAnswer | Promise<PlainAnswer>,
): Promise<PageData> {
  const { body } = await answer;
  return JSON.parse(new TextDecoder().decode(body as Uint8Array));
}

Deno.test("/status answers a status and its counters", async () => {
  const state = bringUp(newAgentState());
  const data = await read(dataHandler(state, new FakeClock())(REQUEST));
  assertEquals(statusFaults(data), []);
  assertEquals(data.counters, state.snapshot().backend!.counters);
});

Deno.test("the counters of a backend without any are those of its device", async () => {
  const state = bringUp(newAgentState());
  const { backend } = state.snapshot();
  state.attach({ backend: () => ({ ...backend!, counters: {} }) });
  const asked: (string | undefined)[] = [];
  const handler = dataHandler(state, new FakeClock(), (device?: string) => {
    asked.push(device);
    return { "rx.bytes": 5 };
  });
  assertEquals((await read(handler(REQUEST))).counters, { "rx.bytes": 5 });
  assertEquals(asked, ["flannel0"]);
});

Deno.test("/status reads the state once a second, however many ask", async () => {
  const clock = new FakeClock();
  let reads = 0;
  const state = newAgentState();
  const handler = dataHandler({
    snapshot() {
      reads++;
      return state.snapshot();
    },
  }, clock);
  for (let asked = 0; asked < 1_000; asked++) await handler(REQUEST);
  assertEquals(reads, 1);
  await clock.advance(999);
  await handler(REQUEST);
  assertEquals(reads, 1);
  await clock.advance(1);
  await handler(REQUEST);
  assertEquals(reads, 2);
});

/** What it takes to read the state, and for how long the answer is kept. */
const KEPT = [
  ["a fiftieth of a processor at most, as with thousands of peers", 60, 3_000],
  ["ten seconds at most, as after a host has hung", 8_000, 10_000],
] as const;

for (const [what, takesMs, keptMs] of KEPT) {
  Deno.test(`a state that takes long to read is kept longer: ${what}`, async () => {
    let nowMs = 0;
    let reads = 0;
    const state = newAgentState();
    const handler = dataHandler({
      snapshot() {
        reads++;
        nowMs += takesMs;
        return state.snapshot();
      },
    }, { monotonic: () => nowMs });
    await handler(REQUEST);
    nowMs = keptMs - 1;
    await handler(REQUEST);
    assertEquals(reads, 1);
    nowMs = keptMs;
    await handler(REQUEST);
    assertEquals(reads, 2);
  });
}
