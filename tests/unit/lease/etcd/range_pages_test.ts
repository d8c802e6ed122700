import { assertEquals, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import type { IKeyValue, IRangeRequest, IRangeResponse } from "etcd3";
import { RegistryError } from "../../../../lease/errors.ts";
import { readRangePages } from "../../../../lease/etcd/range_pages.ts";

/** A store whose keys may change between two pages. */
class Store {
  keys: string[] = [];
  revision = 7;
  /** Requests as `from limit revision`. */
  readonly asked: string[] = [];
  /** Called before each answer with its number, from 1. */
  before: (page: number) => void = () => {};
  readonly #history = new Map<number, string[]>();

  read(request: IRangeRequest): Promise<IRangeResponse> {
    this.before(this.asked.length + 1);
    this.#history.set(this.revision, this.keys);
    const revision = Number(request.revision ?? this.revision);
    const from = String(request.key);
    const limit = Number(request.limit);
    this.asked.push(`${from} ${limit} ${request.revision ?? "now"}`);
    const keys = (this.#history.get(revision) ?? [])
      .filter((key) => key >= from && key < String(request.range_end));
    return Promise.resolve({
      header: { revision: String(this.revision) },
      kvs: keys.slice(0, limit).map((key) =>
        ({ key: Buffer.from(key) }) as IKeyValue
      ),
      more: keys.length > limit,
      count: String(keys.length),
    } as IRangeResponse);
  }

  pages(pageKeys: number) {
    return readRangePages((request) => this.read(request), {
      key: Buffer.from("p/"),
      rangeEnd: Buffer.from("p0"),
      pageKeys,
      decode: ({ key }) => String(key),
    });
  }
}

function compacted(): RegistryError {
  return new RegistryError("compacted", "list", { endpoints: [], detail: "" });
}

Deno.test("a range that fits is one page", async () => {
  const store = new Store();
  store.keys = ["p/a", "p/b"];
  assertEquals(await store.pages(2), {
    entries: ["p/a", "p/b"],
    revision: "7",
  });
  assertEquals(store.asked, ["p/ 2 now"]);
});

Deno.test("an empty range is one page", async () => {
  assertEquals(await new Store().pages(10), { entries: [], revision: "7" });
});

Deno.test("all pages are of the first one's revision, whatever changes between them", async () => {
  const store = new Store();
  store.keys = ["p/a", "p/b", "p/c", "p/d", "p/e"];
  store.before = (page) => {
    if (page === 1) return;
    store.revision++;
    store.keys = ["p/a", "p/bb", "p/e"];
  };
  assertEquals(await store.pages(2), {
    entries: ["p/a", "p/b", "p/c", "p/d", "p/e"],
    revision: "7",
  });
  assertEquals(store.asked, ["p/ 2 now", "p/b\0 2 7", "p/d\0 2 7"]);
});

Deno.test("a revision that is compacted between two pages is given up for a newer one", async () => {
  const store = new Store();
  store.keys = ["p/a", "p/b", "p/c"];
  let isCompacted = false;
  store.before = (page) => {
    if (page !== 2 || isCompacted) return;
    isCompacted = true;
    store.revision = 9;
    store.keys = ["p/b", "p/c", "p/d"];
    throw compacted();
  };
  assertEquals(await store.pages(2), {
    entries: ["p/b", "p/c", "p/d"],
    revision: "9",
  });
});

Deno.test("a store that compacts all the time, and any other fault, are errors", async () => {
  const store = new Store();
  store.keys = ["p/a", "p/b", "p/c"];
  let pages = 0;
  store.before = () => {
    if (++pages % 2 === 0) throw compacted();
  };
  await assertRejects(() => store.pages(2), RegistryError);
  assertEquals(pages, 10);
  store.before = () => {
    throw new RegistryError("no-leader", "list", { endpoints: [], detail: "" });
  };
  const error = await assertRejects(() => store.pages(2), RegistryError);
  assertEquals((error as RegistryError).fault, "no-leader");
});
