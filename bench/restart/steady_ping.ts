/**
 * An echo request every 5 ms, and exactly which of them were not answered.
 *
 * @module
 */

import { Daemon } from "../../tests/rig/daemon.ts";
import type { MeasuredLink } from "../measure/link.ts";

const INTERVAL_MS = 5;
const TIMEOUT_MS = 5_000;
/**
 * The last requests may be on their way when the ping is ended: so many are
 * sent in the time that an answer takes on a busy machine.
 */
const ON_THE_WAY = 20;

/** What became of the requests. */
export interface EchoLoss {
  readonly sent: number;
  readonly lost: number;
  /** The longest row of lost ones, as time. */
  readonly outageMs: number;
}

/** A ping that runs until it is ended. */
export class SteadyPing implements AsyncDisposable {
  readonly #process: Daemon;

  private constructor(process: Daemon) {
    this.#process = process;
  }

  /** Starts it and waits for the first answer. */
  static async start(
    { client, directory, server }: MeasuredLink,
    signal: AbortSignal,
  ): Promise<SteadyPing> {
    const process = new Daemon({
      name: "ping",
      command: [
        ...client.namespace.commandPrefix,
        // Into a file, it would write its first line late.
        "stdbuf",
        "-oL",
        "ping",
        "-n",
        `-i${INTERVAL_MS / 1000}`,
        server.address,
      ],
      logFile: `${directory}/${crypto.randomUUID()}.ping`,
      env: { LC_ALL: "C" },
    });
    await using cleanup = new AsyncDisposableStack();
    const ping = cleanup.use(new SteadyPing(process));
    await process.untilLogged(/icmp_seq=/, TIMEOUT_MS, signal);
    cleanup.move();
    return ping;
  }

  /** Ends it and counts. */
  async finish(): Promise<EchoLoss> {
    this.#process.kill("SIGINT");
    await this.#process.ended(TIMEOUT_MS);
    return echoLoss(this.#process.log());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop();
  }
}

/** Reads what iputils' `ping` wrote: a line for each answer, and the summary. */
export function echoLoss(output: string): EchoLoss {
  const summary = /^(\d+) packets transmitted, /m.exec(output);
  if (!summary) {
    throw new Error(
      `Cannot read what ping said: it must end with a summary: ${
        output.slice(-500)
      }`,
    );
  }
  const answered = new Set(
    [...output.matchAll(/^\d+ bytes from .*icmp_seq=(\d+) /gm)]
      .map(([, sequence]) => Number(sequence)),
  );
  const last = Math.max(0, ...answered);
  // All that was sent, unless the end is only on its way.
  const transmitted = Number(summary[1]);
  const sent = transmitted - last > ON_THE_WAY ? transmitted : last;
  let lost = 0;
  let row = 0;
  let longestRow = 0;
  // The first request has number 1.
  for (let sequence = 1; sequence <= sent; sequence++) {
    row = answered.has(sequence) ? 0 : row + 1;
    if (row > 0) lost += 1;
    longestRow = Math.max(longestRow, row);
  }
  return { sent, lost, outageMs: longestRow * INTERVAL_MS };
}
