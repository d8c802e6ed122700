/**
 * What a look at the host's Docker means for the agent's state.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { DOCKER_PROBLEM_CODES } from "../../host/docker/docker_problem.ts";
import type { DockerLook } from "../../host/docker/docker_watch.ts";
import type { AgentState } from "../status/state.ts";

const log = getLogger(["loden", "docker"]);

/** Raises and clears the `docker.*` warnings; each change is logged once. */
export function reportDocker(
  { status, problems }: DockerLook,
  state: AgentState,
): void {
  if (JSON.stringify(status ?? null) !== JSON.stringify(state.facts.docker)) {
    state.set({ docker: status ?? null });
  }
  for (const code of DOCKER_PROBLEM_CODES) {
    const problem = problems.find((each) => each.code === code);
    if (problem === undefined) {
      if (state.clear(code)) {
        log.info("Docker fits the overlay again", {
          event: "docker.mended",
          code,
        });
      }
      continue;
    }
    const { text, fix } = problem;
    if (!state.raise(code, `${text}: ${fix}`)) continue;
    log.warn("Docker does not fit the overlay", {
      event: "docker.warning",
      code,
      reason: text,
      fix,
    });
  }
}
