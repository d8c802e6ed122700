/**
 * An agent's status without a process for each question.
 *
 * @module
 */

import { instancePaths } from "../../agent/instance/instance.ts";
import type { StatusSnapshot } from "../../agent/status/state.ts";
import { fetchStatus } from "../../agent/status/status_client.ts";
import type { Agent } from "../rig/agent.ts";

const PREFIX = "/coreos.com/network";
const STATUS_MS = 5_000;

/** What `loden status --json` prints, asked over the same socket. */
export function liveStatus({ files, process }: Agent): Promise<StatusSnapshot> {
  // Where the agent sees it: its directories may be mounts of its own.
  const root = `/proc/${process.pid}/root`;
  return fetchStatus(
    `${root}${instancePaths(files.runDirectory, PREFIX).socket}`,
    AbortSignal.timeout(STATUS_MS),
  );
}
