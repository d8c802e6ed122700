/**
 * What happens to hosts whose wall clock is set.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { ProcessClock } from "../../rig/process_clock.ts";
import { eventually } from "../overlay.ts";
import type { Fault } from "./fault.ts";

const JUMP_DAYS = 2;
/** Longer than a lease lives: by its clock each host is late. */
const JUMP_MS = JUMP_DAYS * 86_400_000;
/** An agent looks at its clock at least once a minute. */
const NOTICED_MS = 120_000;
const ENDED = /"event":"lease\.(expired|lost|degraded)"/;

/** Leaves everything as it was. The hosts run on `clock`. */
export function clockFault(clock: ProcessClock): Fault {
  return {
    name: `the hosts' clocks are set ${JUMP_DAYS} days forward, and back`,
    inject: async (world) => {
      const logged = world.nodes.map(({ agent }) => agent.process.log().length);
      clock.set(`+${JUMP_DAYS}d`);
      for (const node of world.nodes) {
        await eventually(
          `a lease of ${node.host.name} by its new clock`,
          async () => (await world.status(node)).lease,
          (lease) =>
            lease?.state === "held" && lease.expires !== null &&
            Date.parse(lease.expires) > Date.now() + JUMP_MS,
          NOTICED_MS,
        );
      }
      const ended = world.nodes.map(({ agent: { process } }, index) =>
        ENDED.exec(process.log().slice(logged[index]))?.[0]
      );
      assertEquals(ended, ended.map(() => undefined));
    },
    heal: () => Promise.resolve(clock.set("+0")),
  };
}
