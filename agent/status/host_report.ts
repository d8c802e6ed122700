/**
 * Turns checks of this host (Docker, kernel settings, the underlay) into
 * warnings in the status and one log line per change.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { DOCKER_PROBLEM_CODES } from "../../host/docker/docker_problem.ts";
import type { DockerLook } from "../../host/docker/docker_watch.ts";
import type { AgentState } from "./state.ts";
import type { SysctlFinding } from "../../host/sysctl_check.ts";
import type { UnderlayWarning } from "../../host/underlay/underlay_warnings.ts";

const log = getLogger(["loden", "agent"]);
const dockerLog = getLogger(["loden", "docker"]);

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
        dockerLog.info("Docker fits the overlay again", {
          event: "docker.mended",
          code,
        });
      }
      continue;
    }
    const { text, fix } = problem;
    if (!state.raise(code, `${text}: ${fix}`)) continue;
    dockerLog.warn("Docker does not fit the overlay", {
      event: "docker.warning",
      code,
      reason: text,
      fix,
    });
  }
}

/** Docker is not looked at any more. */
export function forgetDocker(state: AgentState): void {
  if (state.facts.docker !== null) state.set({ docker: null });
  for (const code of DOCKER_PROBLEM_CODES) state.clear(code);
}

/**
 * Each change is logged once; a setting that loses packets raises a warning.
 */
export class SysctlReport {
  readonly #state: AgentState;
  /** What was only logged, so that it is logged once. */
  #told = new Set<string>();

  constructor(state: AgentState) {
    this.#state = state;
  }

  report(findings: readonly SysctlFinding[]): void {
    const isWarning = ({ severity }: SysctlFinding) => severity === "warning";
    this.#warn(findings.filter(isWarning));
    this.#tell(findings.filter((each) => !isWarning(each)));
  }

  #warn(findings: readonly SysctlFinding[]): void {
    if (findings.length === 0) {
      if (this.#state.clear("host.forwarding")) {
        log.info("kernel forwards the containers' packets again", {
          event: "host.forwarding-on",
        });
      }
      return;
    }
    const text = findings.map(({ name, text, fix }) =>
      `${name}: ${text}: ${fix}`
    ).join("; ");
    if (!this.#state.raise("host.forwarding", text)) return;
    log.warn("kernel does not forward the containers' packets", {
      event: "host.forwarding-off",
      settings: findings.map(({ name }) => name),
      fix: findings.map(({ fix }) => fix),
    });
  }

  #tell(findings: readonly SysctlFinding[]): void {
    for (const { name, value, text, fix } of findings) {
      if (this.#told.has(name)) continue;
      log.info("kernel setting may affect packets", {
        event: "host.sysctl",
        setting: name,
        value,
        reason: text,
        change: fix,
      });
    }
    this.#told = new Set(findings.map(({ name }) => name));
  }
}

const CODES: readonly UnderlayWarning["code"][] = [
  "underlay.shared-address",
  "underlay.public-ip-elsewhere",
  "underlay.address-twice",
];

/** Raises exactly these warnings, each with a log line if it is new. */
export function reportUnderlayWarnings(
  warnings: readonly UnderlayWarning[],
  state: AgentState,
): void {
  for (const code of CODES) {
    if (!warnings.some((warning) => warning.code === code)) state.clear(code);
  }
  for (const { code, text, fix } of warnings) {
    if (!state.raise(code, `${text}: ${fix}`)) continue;
    log.warn("underlay looks wrong", {
      event: "underlay.warning",
      code,
      reason: text,
      fix,
    });
  }
}
