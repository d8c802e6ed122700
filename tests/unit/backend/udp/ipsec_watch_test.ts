import { assertEquals } from "@std/assert";
import { IpsecWatch } from "../../../../backend/udp/ipsec_watch.ts";
import { ERRNO, SystemCallError } from "../../../../linux/errno.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeIpsecMonitor } from "../../../fakes/fake_ipsec_monitor.ts";

const NONE_MS = 30_000;
const LOOK_MS = 10_000;

/** A host whose policies are those of a test. */
class World {
  readonly clock = new FakeClock();
  readonly monitor = new FakeIpsecMonitor();
  readonly ending = new AbortController();
  policies = 0;
  isTold = true;
  found: number | undefined | "nothing yet" = "nothing yet";
  #done: Promise<void> = Promise.resolve();

  watch(wanted: "some" | "none"): void {
    const watch = new IpsecWatch({
      clock: this.clock,
      countIpsecPolicies: () => this.policies,
      openIpsecMonitor: () => {
        if (this.isTold) return this.monitor;
        throw new SystemCallError("follow", ERRNO.EPROTONOSUPPORT);
      },
    });
    this.#done = watch.until(wanted, this.ending.signal)
      .then((found) => void (this.found = found));
  }

  async set(policies: number): Promise<void> {
    this.policies = policies;
    this.monitor.tell();
    await this.clock.advance(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ending.abort();
    await this.#done;
  }
}

Deno.test("policies that come are seen at once", async () => {
  await using world = new World();
  world.watch("some");
  await world.set(0);
  assertEquals(world.found, "nothing yet");
  await world.set(2);
  assertEquals(world.found, 2);
});

Deno.test("policies that came before the watch are seen", async () => {
  await using world = new World();
  world.policies = 1;
  world.watch("some");
  await world.clock.advance(0);
  assertEquals(world.found, 1);
});

Deno.test("where the kernel tells of no changes the clock does", async () => {
  await using world = new World();
  world.isTold = false;
  world.watch("some");
  await world.clock.advance(LOOK_MS);
  world.policies = 1;
  await world.clock.advance(LOOK_MS);
  assertEquals(world.found, 1);
});

Deno.test("policies are gone when there were none for half a minute, and a daemon's restart does not count", async () => {
  await using world = new World();
  world.policies = 2;
  world.watch("none");
  await world.set(0);
  await world.clock.advance(LOOK_MS);
  await world.set(2);
  await world.set(0);
  await world.clock.advance(NONE_MS - 1_000);
  assertEquals(world.found, "nothing yet");
  await world.clock.advance(LOOK_MS);
  assertEquals(world.found, 0);
});

Deno.test("an aborted watch finds nothing", async () => {
  const world = new World();
  world.watch("some");
  await world[Symbol.asyncDispose]();
  assertEquals(world.found, undefined);
});
