/**
 * What every {@linkcode DescriptorWaiter} does. Run on the kernel's and on the
 * fake.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import type { DescriptorWaiter } from "../../linux/descriptor_watch.ts";

/** Two descriptors and a wait for both. */
export interface DescriptorWatchWorld extends AsyncDisposable {
  readonly watch: DescriptorWaiter;
  setReady(index: 0 | 1, ready: boolean): void;
}

/** Registers the tests; `makeWorld` makes a new world for each. */
export function descriptorWatchContract(
  implementation: string,
  makeWorld: () => DescriptorWatchWorld,
): void {
  const test = (
    sentence: string,
    prove: (world: DescriptorWatchWorld) => Promise<void>,
  ) =>
    Deno.test(`${implementation} ${sentence}`, async () => {
      await using world = makeWorld();
      await prove(world);
    });

  test("says at once what is ready", async ({ watch, setReady }) => {
    setReady(1, true);
    assertEquals(await watch.wait(), [false, true]);
    setReady(0, true);
    assertEquals(await watch.wait(), [true, true]);
    setReady(1, false);
    assertEquals(await watch.wait(), [true, false]);
  });

  test("waits while the thread goes on", async ({ watch, setReady }) => {
    let over = false;
    const waiting = watch.wait().then((ready) => {
      over = true;
      return ready;
    });
    // Turns of the event loop, in which a wait that did not wait would end.
    for (let turn = 0; turn < 10; turn++) await nextTurn();
    assertEquals(over, false);
    setReady(0, true);
    assertEquals(await waiting, [true, false]);
  });

  test("ends its wait and all later ones when stopped", async ({ watch }) => {
    const waiting = watch.wait();
    assertEquals(watch.stopped, false);
    await watch.stop();
    assertEquals(watch.stopped, true);
    assertEquals(await waiting, [false, false]);
    assertEquals(await watch.wait(), [false, false]);
    await watch.stop();
  });

  test("is through with its wait when stop resolves", async ({ watch }) => {
    let over = false;
    watch.wait().then(() => over = true);
    await watch.stop();
    // Only what is due at once, and no turn of the event loop.
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    assertEquals(over, true);
  });

  test(
    "names nothing after its end although something is ready",
    async ({ watch, setReady }) => {
      setReady(0, true);
      await watch.stop();
      assertEquals(await watch.wait(), [false, false]);
    },
  );

  test("refuses a second wait during the first", async ({ watch }) => {
    const waiting = watch.wait();
    await assertRejects(() => watch.wait(), TypeError, "Cannot wait");
    await watch.stop();
    await waiting;
  });
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
