/**
 * What every {@linkcode RtnetlinkMonitor} does. Run on the kernel's and on the
 * fake.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type {
  RtnetlinkMonitor,
  RtnetlinkTable,
} from "../../linux/netlink/rtnetlink_monitor.ts";

/** A network namespace in which the tests change things. */
export interface RtnetlinkMonitorWorld extends Disposable {
  readonly monitor: RtnetlinkMonitor;
  /** Changes a link and nothing else. */
  changeLink(): void;
  /** Puts a route and changes nothing else. */
  putRoute(): void;
  /** Gives a device an address, with the route that comes with it. */
  addAddress(): void;
}

/** Registers the tests; `makeWorld` makes a new world for each. */
export function rtnetlinkMonitorContract(
  implementation: string,
  makeWorld: () => RtnetlinkMonitorWorld,
): void {
  const test = (
    sentence: string,
    prove: (
      world: RtnetlinkMonitorWorld,
      abort: AbortController,
    ) => Promise<void>,
  ) =>
    Deno.test(`${implementation} ${sentence}`, async () => {
      using world = makeWorld();
      await prove(world, new AbortController());
    });

  test("tells which table has changed", async (world, abort) => {
    const changes = world.monitor.changes(abort.signal);
    const told: RtnetlinkTable[][] = [];
    for (const change of ["changeLink", "putRoute", "addAddress"] as const) {
      const next = changes.next();
      world[change]();
      told.push([...(await next).value!].toSorted());
    }
    assertEquals(told, [["links"], ["routes"], ["addresses", "routes"]]);
    await changes.return(undefined);
  });

  test(
    "tells at once of many changes, also from before and between its rounds",
    async (world, abort) => {
      world.changeLink();
      world.putRoute();
      world.changeLink();
      const changes = world.monitor.changes(abort.signal);
      const first = await changes.next();
      assertEquals([...first.value!].toSorted(), ["links", "routes"]);
      world.putRoute();
      const second = await changes.next();
      assertEquals([...second.value!], ["routes"]);
      await changes.return(undefined);
    },
  );

  test("ends when it is aborted, waiting or not", async (world, abort) => {
    const changes = world.monitor.changes(abort.signal);
    const next = changes.next();
    abort.abort();
    assertEquals(await next, { done: true, value: undefined });
    world.changeLink();
    const again = world.monitor.changes(abort.signal);
    assertEquals(await again.next(), { done: true, value: undefined });
  });

  test("can be asked again after an end", async (world, abort) => {
    const first = world.monitor.changes(abort.signal);
    const next = first.next();
    abort.abort();
    await next;
    world.changeLink();
    const changes = world.monitor.changes(new AbortController().signal);
    assertEquals([...(await changes.next()).value!], ["links"]);
    await changes.return(undefined);
  });
}
