/**
 * The control plane: what thousands of leases cost one agent, and how soon many
 * hosts have theirs.
 *
 * @module
 */

import { prepareLoden } from "../../tests/rig/loden_program.ts";
import { Rig } from "../../tests/rig/rig.ts";
import { hostFacts } from "../host_facts.ts";
import type { MeasureContext } from "../measure_all.ts";
import {
  type AgentControlFigures,
  medians,
  type TogetherFigures,
} from "./control_figures.ts";
import type { ControlReport } from "./control_report.ts";
import type { ControlPath } from "./control_paths.ts";
import type { ControlSizes } from "./control_sizes.ts";
import { measureAgent, PREFIX, program } from "./measure_agent.ts";

/** Each figure is the median of `runs`; every run has an etcd of its own. */
export async function measureControl(
  paths: readonly ControlPath[],
  sizes: ControlSizes,
  runs: number,
  context: MeasureContext,
): Promise<ControlReport> {
  const { progress, signal } = context;
  await progress.step(
    "the agent's packages",
    () => prepareLoden(signal),
  );
  const agents = new Map<ControlPath, AgentControlFigures[]>(
    paths.map((path) => [path, []]),
  );
  const together: TogetherFigures[] = [];
  for (let index = 0; index < runs; index++) {
    const prefix = `run ${index + 1} of ${runs}`;
    for (const [path, figures] of agents) {
      await progress.step(
        `${prefix}: ${path} and ${sizes.leases} leases`,
        () =>
          inRig(context, 1, async (rig) => {
            figures.push(await measureAgent(rig, path, sizes, signal));
          }),
      );
    }
    await progress.step(
      `${prefix}: ${sizes.joiners} hosts join at once`,
      () =>
        inRig(context, 0, async (rig) => {
          together.push(await measureJoins(rig, sizes.joiners, signal));
        }),
    );
  }
  return {
    schema: 1,
    host: hostFacts(),
    runs,
    leases: sizes.leases,
    changes: sizes.changes,
    joiners: sizes.joiners,
    agents: Object.fromEntries(
      [...agents].map(([path, figures]) => [path, medians(figures)]),
    ) as Partial<Record<ControlPath, AgentControlFigures>>,
    together: medians(together),
  };
}

async function measureJoins(
  rig: Rig,
  hosts: number,
  signal: AbortSignal,
): Promise<TogetherFigures> {
  await rig.startEtcd();
  const printed = await rig.switch.run(
    program("join_together.ts", rig.etcdEndpoint, PREFIX, `${hosts}`),
    { signal },
  );
  return JSON.parse(printed) as TogetherFigures;
}

async function inRig(
  { rigName, signal }: MeasureContext,
  hosts: number,
  work: (rig: Rig) => Promise<void>,
): Promise<void> {
  await using rig = await Rig.create({ name: rigName, hosts, signal });
  await work(rig);
}
