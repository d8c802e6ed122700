/**
 * How long a unit takes to write a file.
 *
 * @module
 */

import type { BootedHost } from "../../tests/rig/booted/booted_host.ts";

/**
 * Milliseconds from the start of a unit's main process, as systemd tells it, to
 * the last change of a file. What systemd does between fork and exec is within.
 */
export async function untilWritten(
  machine: BootedHost,
  unit: string,
  file: string,
  signal: AbortSignal,
): Promise<number> {
  const started = await machine.run([
    "systemctl",
    "show",
    "--timestamp=us+utc",
    "--property=ExecMainStartTimestamp",
    "--value",
    unit,
  ], { signal });
  const written = await machine.run(["stat", "--format=%.6Y", file], {
    signal,
  });
  return Number(written) * 1000 - systemdTimestampMs(started);
}

/**
 * `Thu 2026-11-26 00:39:26.123456 UTC`, as milliseconds since 1970.
 *
 * @param text What `systemctl show --timestamp=us+utc` prints.
 */
export function systemdTimestampMs(text: string): number {
  const match = /^\w{3} (\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)\.(\d{6}) UTC$/
    .exec(text.trim());
  if (!match) {
    throw new Error(
      "Cannot tell when a unit started: systemd must say day, time and " +
        `microseconds in UTC: it says ${text.trim() || "nothing"}`,
    );
  }
  const [, day, time, microseconds] = match;
  return Date.parse(`${day}T${time}Z`) + Number(microseconds) / 1000;
}
