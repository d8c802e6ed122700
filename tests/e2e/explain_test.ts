/**
 * `loden explain` in worlds that are broken, and in one that is not.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { after, before, describe, it } from "@std/testing/bdd";
import { BreakableWorld, BROKEN_WORLDS } from "./broken_worlds.ts";
import { EACH_PATH, KERNEL_PATH } from "./data_paths.ts";

/** The whole command, its start included, on a busy machine. */
const ANSWER_MS = 6_000;

describe("explain", () => {
  let world: BreakableWorld;
  before(async () => {
    world = await BreakableWorld.start(KERNEL_PATH[0]!);
  });
  after(() => world[Symbol.asyncDispose]());

  it("accuses nothing in a healthy world", () => assertWell(world));

  for (const broken of BROKEN_WORLDS) {
    it(`says what is wrong when ${broken.name}`, async () => {
      const { fix, flags, from, side, sizeBytes, stage, to } = broken;
      await using cleanup = new AsyncDisposableStack();
      cleanup.defer(async () => {
        await broken.mends(world);
        await world.untilWell();
      });
      await broken.breaks(world);
      if (from === undefined) {
        assertEquals(await world.isAnswered(to?.(world), sizeBytes), false);
      }
      const startedMs = performance.now();
      const explained = await world.explain(
        flags,
        from?.(world),
        to?.(world),
      );
      assert(performance.now() - startedMs < ANSWER_MS);
      const all = JSON.stringify(explained, undefined, 1);
      assertEquals(
        [explained.verdict, explained.side, explained.stage],
        ["dropped", side, stage],
        all,
      );
      assertMatch(explained.fix ?? "", fix, all);
    });
  }

  it("accuses nothing when everything is mended", () => assertWell(world));

  it("accuses nothing when this host's agent hangs", async () => {
    const { process } = world.here.agent;
    process.kill("SIGSTOP");
    await using cleanup = new AsyncDisposableStack();
    cleanup.defer(() => process.kill("SIGCONT"));
    const startedMs = performance.now();
    const explained = await world.explain();
    assert(performance.now() - startedMs < ANSWER_MS);
    assertEquals(explained.verdict, "unknown", JSON.stringify(explained));
  });

  it("takes the addresses of hosts for their addresses in the overlay", async () => {
    const { here, there } = world;
    const explained = await world.explain(
      [],
      here.host.address,
      there.host.address,
    );
    assertEquals(explained.verdict, "delivered", JSON.stringify(explained));
  });
});

describe("explain, user space", () => {
  it("accuses nothing in a healthy world", async () => {
    await using world = await BreakableWorld.start(EACH_PATH[0]!);
    await assertWell(world);
  });
});

async function assertWell(world: BreakableWorld): Promise<void> {
  for (
    const flags of [[], ["--proto=tcp", "--port=80"], [
      "--proto=udp",
      "--port=53",
      "--size=1400",
      "--send",
    ]]
  ) {
    const explained = await world.explain(flags);
    const wrong = explained.findings.filter(({ outcome }) => outcome !== "ok");
    assertEquals(wrong, []);
    assertEquals(explained.verdict, "delivered");
  }
}
