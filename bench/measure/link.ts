/**
 * Two ends between which something is measured.
 *
 * @module
 */

import type { Container } from "../../tests/rig/container.ts";
import { Daemon } from "../../tests/rig/daemon.ts";

/** A sender, a receiver and a place for logs. */
export interface MeasuredLink {
  readonly client: Container;
  readonly server: Container;
  /** For the log files of servers. */
  readonly directory: string;
}

const START_TIMEOUT_MS = 10_000;

/**
 * Starts a server at the receiving end and waits until its log matches, which
 * must be after it listens.
 */
export async function startServer(
  link: MeasuredLink,
  command: readonly string[],
  listening: RegExp,
  signal: AbortSignal,
): Promise<Daemon> {
  const server = new Daemon({
    name: command[0]!,
    command: [...link.server.namespace.commandPrefix, ...command],
    logFile: `${link.directory}/${crypto.randomUUID()}.log`,
  });
  try {
    await server.untilLogged(listening, START_TIMEOUT_MS, signal);
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}
