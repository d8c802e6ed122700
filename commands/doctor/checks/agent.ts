/**
 * The agent of this network, a flanneld beside it, and settings without effect.
 *
 * @module
 */

import { isShown } from "../../../agent/status/health.ts";
import { VERSION } from "../../../version.ts";
import type { Check, DoctorHost } from "../check.ts";
import type { Finding } from "../finding.ts";

/** See the module. */
export const agentCheck: Check = {
  name: "agent",
  run: async (host, signal) => [
    ...settingsWarnings(host),
    ...await agent(host, signal),
    ...flanneld(host),
  ],
};

function settingsWarnings({ settings }: DoctorHost): Finding[] {
  return settings.warnings.map(({ text }) => ({
    code: "settings.warning",
    severity: "note",
    what: "settings",
    value: text,
  }));
}

async function agent(
  host: DoctorHost,
  signal: AbortSignal,
): Promise<Finding[]> {
  const { etcdPrefix } = host.settings;
  const sight = await host.agent(signal);
  const fact = { code: "agent.state", what: "agent" } as const;
  if (sight.kind === "absent") {
    return [{
      ...fact,
      severity: "note",
      value: `none of ${etcdPrefix} is running`,
    }];
  }
  if (sight.kind === "unseen") {
    return [{
      ...fact,
      severity: host.isRoot ? "warning" : "note",
      value: `not known: ${sight.reason}`,
    }];
  }
  const { pid, ready, version, waitingFor, warnings } = sight.status;
  const findings: Finding[] = [{
    ...fact,
    severity: ready ? "ok" : "warning",
    value: `process ${pid} of ${etcdPrefix}, ` +
      (ready ? "ready" : `not ready, waiting: ${waitingFor ?? "to start"}`),
    ...ready ? {} : { fix: "loden status" },
  }];
  if (version !== VERSION) {
    findings.push({
      code: "agent.version",
      severity: "note",
      what: "agent",
      value: `runs version ${version}, this command is ${VERSION}`,
      fix: "systemctl restart loden",
    });
  }
  const shown = warnings.filter(isShown);
  if (shown.length > 0) {
    findings.push({
      code: "agent.warnings",
      severity: shown.some(({ severity }) => severity === "error")
        ? "problem"
        : "warning",
      what: "agent",
      value: `it warns of ${shown.map(({ code }) => code).join(", ")}`,
      fix: "loden status",
    });
  }
  return findings;
}

function flanneld({ findFlanneld, readText }: DoctorHost): Finding[] {
  const found = findFlanneld();
  if (found === undefined) return [];
  const { pid, shared } = found;
  const unit = /\/([^/]+\.service)\s*$/m.exec(
    readText(`/proc/${pid}/cgroup`) ?? "",
  )?.[1];
  return [{
    code: "flanneld.running",
    severity: "problem",
    what: "flanneld",
    value: `process ${pid} uses ${shared}: the agent does not start beside it`,
    fix: unit === undefined ? `kill ${pid}` : `systemctl disable --now ${unit}`,
  }];
}
