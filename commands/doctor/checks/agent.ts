/**
 * The agent of this network, a flanneld beside it, and settings without effect.
 *
 * @module
 */

import { isShown } from "../../../agent/status/health.ts";
import { VERSION } from "../../../version.ts";
import type { Check, DoctorHost } from "../check.ts";
import { type Finding, findingOn } from "../finding.ts";

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
  return settings.warnings.map(({ text }) =>
    findingOn("settings.warning", "settings").note(text)
  );
}

async function agent(
  host: DoctorHost,
  signal: AbortSignal,
): Promise<Finding[]> {
  const { etcdPrefix } = host.settings;
  const sight = await host.agent(signal);
  const fact = findingOn("agent.state", "agent");
  if (sight.kind === "absent") {
    return [fact.note(`none of ${etcdPrefix} is running`)];
  }
  if (sight.kind === "unseen") {
    return [
      fact[host.isRoot ? "warning" : "note"](`not known: ${sight.reason}`),
    ];
  }
  const { pid, ready, version, waitingFor, warnings } = sight.status;
  const who = `process ${pid} of ${etcdPrefix}`;
  const findings = [
    ready ? fact.ok(`${who}, ready`) : fact.warning(
      `${who}, not ready, waiting: ${waitingFor ?? "to start"}`,
      "loden status",
    ),
  ];
  if (version !== VERSION) {
    findings.push(
      findingOn("agent.version", "agent").note(
        `runs version ${version}, this command is ${VERSION}`,
        "systemctl restart loden",
      ),
    );
  }
  const shown = warnings.filter(isShown);
  if (shown.length > 0) {
    const isBad = shown.some(({ severity }) => severity === "error");
    findings.push(
      findingOn("agent.warnings", "agent")[isBad ? "problem" : "warning"](
        `it warns of ${shown.map(({ code }) => code).join(", ")}`,
        "loden status",
      ),
    );
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
  return [
    findingOn("flanneld.running", "flanneld").problem(
      `process ${pid} uses ${shared}: the agent does not start beside it`,
      unit === undefined ? `kill ${pid}` : `systemctl disable --now ${unit}`,
    ),
  ];
}
