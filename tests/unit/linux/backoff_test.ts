import { assert, assertEquals } from "@std/assert";
import { Backoff } from "../../../linux/backoff.ts";
import { RegistryPauses } from "../../../lease/registry_pauses.ts";
import { FakeRandom } from "../../fakes/fake_random.ts";

Deno.test("pauses double up to the limit, spread over their upper half, and start over", () => {
  const backoff = new Backoff(new FakeRandom(), { firstMs: 100, maxMs: 1_000 });
  for (const full of [100, 200, 400, 800, 1_000, 1_000]) {
    const pauseMs = backoff.next();
    assert(pauseMs >= full / 2 && pauseMs <= full, `${pauseMs} of ${full}`);
  }
  backoff.reset();
  assert(backoff.next() <= 100);
});

Deno.test("pauses differ from host to host", () => {
  const pauses = new Set(
    Array.from(
      { length: 50 },
      (_, seed) =>
        new Backoff(new FakeRandom(seed), { firstMs: 1_000, maxMs: 1_000 })
          .next(),
    ),
  );
  assert(pauses.size > 40);
});

Deno.test("an etcd that is away is asked again within two seconds, one that refuses within ten", () => {
  const pauses = new RegistryPauses(new FakeRandom());
  for (let i = 0; i < 100; i++) {
    assert(pauses.next("registry.refused") <= 2_000);
    assert(pauses.next("registry.permission") <= 10_000);
  }
  assertEquals(pauses.next("registry.permission") > 4_000, true);
  pauses.reset();
  assert(pauses.next("registry.permission") <= 1_000);
});
