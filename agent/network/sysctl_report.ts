/**
 * What the kernel's settings mean for the agent's state.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { SysctlFinding } from "../../host/sysctl_check.ts";
import type { AgentState } from "../status/state.ts";

const log = getLogger(["loden", "agent"]);

/** Each change is logged once; what costs packets is a warning in the status. */
export class SysctlReport {
  readonly #state: AgentState;
  /** What was only told, so that it is told once. */
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
      log.info("kernel setting is worth knowing", {
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
