import { assertEquals, assertExists } from "@std/assert";
import { NamespaceLock } from "../../../linux/namespace_lock.ts";

Deno.test("a name is held once, and free again afterwards", () => {
  const name = `loden-test-${crypto.randomUUID()}`;
  {
    using first = NamespaceLock.acquire(name);
    assertExists(first);
    assertEquals(NamespaceLock.acquire(name), undefined);
    using other = NamespaceLock.acquire(`${name}-other`);
    assertExists(other);
  }
  using again = NamespaceLock.acquire(name);
  assertExists(again);
});
