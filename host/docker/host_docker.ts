/**
 * The Docker watch on the real host.
 *
 * @module
 */

import type { Clock } from "../../linux/clock.ts";
import { HostCommandRunner } from "../../linux/command.ts";
import type { Rtnetlink } from "../../linux/netlink/rtnetlink.ts";
import { readIfThere } from "../../linux/read_if_there.ts";
import { readDaemonConfig } from "./daemon_config.ts";
import { findDrops } from "./docker_drops.ts";
import type { DockerWatchComponents } from "./docker_watch.ts";
import { isEngineRunning } from "./engine.ts";
import { checkStaleOptions, USUAL_OPTIONS_FILE } from "./stale_options.ts";

/** The agent's own options file; a file at that path is not stale. */
export interface HostDockerOptions {
  readonly subnetFile: string;
  readonly dockerOptsFile: string | undefined;
}

/** Its parts. */
export function hostDocker(
  { clock, rtnetlink }: {
    readonly clock: Clock;
    readonly rtnetlink: Rtnetlink;
  },
  { subnetFile, dockerOptsFile }: HostDockerOptions,
): DockerWatchComponents {
  const runner = new HostCommandRunner();
  return {
    clock,
    rtnetlink,
    isEngineRunning: () => isEngineRunning(),
    readConfig: () => readDaemonConfig(),
    findDrops: (context, signal) => findDrops(runner, context, signal),
    checkStaleOptions(context) {
      if (dockerOptsFile === USUAL_OPTIONS_FILE) return undefined;
      const text = readIfThere(USUAL_OPTIONS_FILE);
      return text === undefined
        ? undefined
        : checkStaleOptions(text, { ...context, subnetFile });
    },
  };
}
