/**
 * What an idle agent has in memory once its start is over: docs/binary.md.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { assert } from "@std/assert";
import { residentMemory } from "../../bench/measure/memory.ts";
import { lodenProgram } from "../rig/loden_program.ts";
import { Rig } from "../rig/rig.ts";

/** After the second release of memory. */
const AFTER_READY_MS = 70_000;
/** In MB of 10^6 bytes: a tenth more than docs/binary.md says. */
const MOST_MB = { tun: 92, ebpf: 71 };

Deno.test("a minute after its start, an idle agent has little in memory", async () => {
  assert(
    lodenProgram() === "binary",
    "needs the binary: the sources' memory is another",
  );
  await using rig = await Rig.create({ hosts: 2 });
  await rig.startEtcd();
  await rig.publish({ Network: "10.1.0.0/16" });
  const paths = ["tun", "ebpf"] as const;
  const agents = await Promise.all(paths.map(async (path, index) => {
    const agent = await rig.startAgent(rig.host(index), {
      flags: [`--datapath=${path}`],
    });
    await agent.ready();
    return { path, agent };
  }));
  await delay(AFTER_READY_MS);
  for (const { path, agent } of agents) {
    const { rssMb } = residentMemory(agent.process.pid);
    assert(
      rssMb <= MOST_MB[path],
      `${path}: ${rssMb.toFixed(1)} MB must be at most ${MOST_MB[path]}`,
    );
  }
});
