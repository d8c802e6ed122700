import { assert, assertEquals, assertRejects } from "@std/assert";
import type { IEvent, IWatchRequest, IWatchResponse } from "etcd3";
import {
  type WatchSource,
  WatchStream,
} from "../../../../lease/etcd/watch_stream.ts";

/** gRPC's end of a stream, by hand. */
class Source implements WatchSource {
  readonly written: IWatchRequest[] = [];
  canceled = false;
  /** How often it was told to. */
  pauses = 0;
  resumes = 0;
  readonly #handlers = new Map<string, (value: never) => void>();

  on(event: string, handler: (value: never) => void): this {
    this.#handlers.set(event, handler);
    return this;
  }

  emit(event: "data" | "error" | "end", value?: unknown): void {
    this.#handlers.get(event)?.(value as never);
  }

  respond(response: Partial<IWatchResponse>): void {
    this.emit("data", {
      compact_revision: "0",
      canceled: false,
      created: false,
      events: [],
      ...response,
    });
  }

  events(...names: string[]): void {
    this.respond({ events: names.map((name) => ({ name }) as never) });
  }

  write(request: IWatchRequest): void {
    this.written.push(request);
  }

  end(): void {}

  cancel(): void {
    this.canceled = true;
  }

  pause(): void {
    this.pauses++;
  }

  resume(): void {
    this.resumes++;
  }
}

function namesOf(events: readonly IEvent[]): string[] {
  return events.map((event) => (event as unknown as { name: string }).name);
}

function start() {
  const source = new Source();
  return { source, stream: new WatchStream(source) };
}

Deno.test("a watch is there when etcd says so", async () => {
  const { source, stream } = start();
  const created = stream.create({});
  source.respond({ created: true });
  await created;
  assertEquals(source.written.length, 1);
});

Deno.test("a refused watch, and one that is not confirmed, are errors", async () => {
  const refused = start();
  const creating = refused.stream.create({});
  refused.source.respond({ compact_revision: "12" });
  await assertRejects(() => creating, Error, "compacted");
  const other = start();
  const confirming = other.stream.create({});
  other.source.events("a");
  await assertRejects(() => confirming, Error, "not confirmed");
});

Deno.test("all events that have arrived come at once, in order", async () => {
  const { source, stream } = start();
  source.events("a", "b");
  source.respond({});
  source.events("c");
  assertEquals(namesOf(await stream.next()), ["a", "b", "c"]);
});

Deno.test("who waits gets all that arrives in the same turn", async () => {
  const { source, stream } = start();
  const next = stream.next();
  await Promise.resolve();
  source.events("a");
  await Promise.resolve();
  source.events("b");
  assertEquals(namesOf(await next), ["a", "b"]);
});

Deno.test("events that came before the end are not lost", async () => {
  for (
    const [end, words] of [
      [(source: Source) => source.emit("error", new Error("reset")), "reset"],
      [(source: Source) => source.emit("end"), "dropped"],
      [
        (source: Source) => source.respond({ compact_revision: "9" }),
        "compacted",
      ],
      [
        (source: Source) =>
          source.respond({ canceled: true, cancel_reason: "no leader" }),
        "no leader",
      ],
    ] as const
  ) {
    const { source, stream } = start();
    source.events("a");
    end(source);
    assertEquals(namesOf(await stream.next()), ["a"]);
    await assertRejects(() => stream.next(), Error, words);
  }
});

Deno.test("a cancelled stream ends who waits on it", async () => {
  const { source, stream } = start();
  const next = stream.next();
  stream.cancel("enough");
  await assertRejects(() => next, Error, "enough");
  assert(source.canceled);
});

Deno.test("a flood is stopped at its source until it has been taken", async () => {
  const { source, stream } = start();
  const thousand = Array.from({ length: 1_000 }, (_, i) => `${i}`);
  while (source.pauses === 0) source.events(...thousand);
  const events = await stream.next();
  assert(events.length < 10_000, `${events.length} events waited`);
  assertEquals(source.resumes, 1);
  source.events("a");
  assertEquals(namesOf(await stream.next()), ["a"]);
  assertEquals(source.pauses, 1);
});
