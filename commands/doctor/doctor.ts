/**
 * `loden doctor`.
 *
 * @module
 */

import { exitCodes } from "../../agent/exit_codes.ts";
import type { Settings } from "../../config/settings.ts";
import { type Clock, systemClock } from "../../linux/clock.ts";
import { VERSION } from "../../version.ts";
import type { CommandContext } from "../command.ts";
import { isSet, readFlags, readSettings } from "../command_line.ts";
import { Progress } from "../terminal/progress.ts";
import {
  chooseSettings,
  type ChosenSettings,
  type SettingsHost,
} from "../agent_settings.ts";
import type { DoctorHost } from "./check.ts";
import { CHECKS } from "./checks.ts";
import { renderFindings } from "./doctor_text.ts";
import { type Finding, findingOn } from "./finding.ts";
import { openHost, settingsHost } from "./host.ts";
import { runChecks } from "./run_checks.ts";

/** With its own start, the command is done within about three seconds. */
const LIMIT_MS = 2_500;

/** What tests replace. */
export interface DoctorParts {
  readonly open: (settings: Settings) => DoctorHost & Disposable;
  readonly clock: Clock;
  readonly settingsHost: SettingsHost;
}

const realParts: DoctorParts = {
  open: openHost,
  clock: systemClock,
  settingsHost,
};

/** Prints what the checks find; the exit code says whether there is a problem. */
export async function run(
  io: CommandContext,
  { clock, open, settingsHost }: DoctorParts = realParts,
): Promise<number> {
  const line = readFlags(io);
  if (line === undefined) return exitCodes.ok;
  const chosen = await chooseSettings(
    await readSettings(io, line),
    settingsHost,
  );
  using host = open(chosen.settings);
  using progress = new Progress(io, clock);
  const findings = [
    ...sourceFindings(chosen),
    ...await runChecks(CHECKS, host, {
      clock,
      limitMs: LIMIT_MS,
      onWaiting: (names) => progress.say(describeWait(names)),
    }),
  ];
  io.stdout(
    isSet(line, "json")
      ? `${JSON.stringify(toJson(findings))}\n`
      : renderFindings(findings, io.terminal()),
  );
  return findings.some(({ severity }) => severity === "problem")
    ? exitCodes.failed
    : exitCodes.ok;
}

function sourceFindings({ changed, source }: ChosenSettings): Finding[] {
  if (source === undefined) return [];
  const found = findingOn("settings.source", "settings");
  if (changed.length === 0) return [found.ok(`those of ${source}`)];
  return [
    found.warning(
      `those of ${source}, which started before ${changed.join(", ")} ` +
        "changed in the files of loden.service",
      "systemctl restart --no-block loden",
    ),
  ];
}

/** What the command prints in a pipe, for a bundle. */
export async function reportHost(settings: Settings): Promise<string> {
  using host = openHost(settings);
  const findings = await runChecks(CHECKS, host, {
    clock: systemClock,
    limitMs: LIMIT_MS,
    onWaiting: () => {},
  });
  return renderFindings(findings, undefined);
}

/** Most checks want to know the network, and so wait for etcd as well. */
function describeWait(names: readonly string[]): string | undefined {
  const [shown = ""] = names.includes("etcd") ? ["etcd"] : [names.join(", ")];
  return shown === "" ? undefined : `waiting for ${shown}`;
}

/** `docs/doctor.schema.json` describes it. */
export function toJson(findings: readonly Finding[]): unknown {
  return {
    schema: 1,
    version: VERSION,
    findings: findings.map(({ code, fix = null, severity, value, what }) => ({
      code,
      severity,
      what,
      value,
      fix,
    })),
  };
}
