/**
 * One TCP connection that always has something to send.
 *
 * @module
 */

import { Daemon } from "../../tests/rig/daemon.ts";
import { type MeasuredLink, startServer } from "../measure/link.ts";

const INTERVAL_MS = 100;
const TIMEOUT_MS = 10_000;
/** Far more than any of this takes. */
const LONGEST_SECONDS = 600;
/**
 * A part of what every path carries: a queue that the stream itself overflows
 * would lose pings that no restart lost.
 */
const RATE = "500M";

/** What became of the stream. */
export interface StreamCourse {
  /** Whether data moved at the end. */
  readonly alive: boolean;
  /** The longest time in which none did. */
  readonly pauseMs: number;
}

/** A stream that goes on until it is ended. */
export class SteadyStream implements AsyncDisposable {
  readonly #server: Daemon;
  readonly #client: Daemon;

  private constructor(server: Daemon, client: Daemon) {
    this.#server = server;
    this.#client = client;
  }

  /** Connects; it does not wait for the first byte. */
  static async start(
    link: MeasuredLink,
    signal: AbortSignal,
  ): Promise<SteadyStream> {
    const server = await startServer(
      link,
      ["iperf3", "--server", "--one-off", "--forceflush"],
      /Server listening/,
      signal,
    );
    const client = new Daemon({
      name: "iperf3",
      command: [
        ...link.client.namespace.commandPrefix,
        "iperf3",
        `--client=${link.server.address}`,
        `--time=${LONGEST_SECONDS}`,
        `--bitrate=${RATE}`,
        `--interval=${INTERVAL_MS / 1000}`,
        "--json",
      ],
      logFile: `${link.directory}/${crypto.randomUUID()}.stream`,
    });
    return new SteadyStream(server, client);
  }

  /** Ends it and looks back. */
  async finish(): Promise<StreamCourse> {
    this.#client.kill("SIGINT");
    await this.#client.ended(TIMEOUT_MS);
    return streamCourse(this.#client.log());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.stop();
    await this.#server.stop();
  }
}

/** Reads what `iperf3 --json` writes of a test that was broken off. */
export function streamCourse(report: string): StreamCourse {
  const { intervals = [] } = JSON.parse(report) as {
    intervals?: { sum: { bytes: number } }[];
  };
  let pause = 0;
  let longestPause = 0;
  for (const { sum } of intervals) {
    pause = sum.bytes > 0 ? 0 : pause + 1;
    longestPause = Math.max(longestPause, pause);
  }
  // Less than an interval is no pause: the rate is kept by bursts.
  return {
    alive: intervals.length > 0 && pause <= 1,
    pauseMs: longestPause * INTERVAL_MS,
  };
}
