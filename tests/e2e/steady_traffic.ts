/**
 * Traffic that goes on while a test does something to the hosts: pings, close
 * together, and a TCP stream, and afterwards the account of both.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { Daemon } from "../rig/daemon.ts";
import { serve } from "./overlay.ts";
import { program } from "./programs/path.ts";
import type { Ends } from "./traffic.ts";

const INTERVAL_SECONDS = 0.005;
const PORT = "7003";
const END_MS = 10_000;
/** The stream must have begun before the test does anything. */
const FIRST_BYTES = /^sending$/m;

/** What became of the pings. */
export interface PingAccount {
  /** By ping's own summary. */
  readonly sent: number;
  readonly received: number;
  readonly duplicates: number;
  /** Numbers of those without an answer; the first has number 1. */
  readonly lost: readonly number[];
}

/** See the module's text. */
export class SteadyTraffic implements AsyncDisposable {
  readonly #pings: Daemon;
  readonly #sender: Daemon;
  readonly #receiver: Daemon;

  private constructor(pings: Daemon, sender: Daemon, receiver: Daemon) {
    this.#pings = pings;
    this.#sender = sender;
    this.#receiver = receiver;
  }

  /**
   * Returns when both are under way.
   *
   * @param intervalSeconds between pings, 5 ms by default.
   */
  static async start(
    { from, rig, to }: Ends,
    intervalSeconds = INTERVAL_SECONDS,
  ): Promise<SteadyTraffic> {
    await using cleanup = new AsyncDisposableStack();
    const receiver = cleanup.use(
      await serve(rig, to.namespace, program("tcp_digest.ts", PORT)),
    );
    const sender = cleanup.use(
      daemon(program("tcp_steady.ts", to.address, PORT)),
    );
    await sender.untilLogged(FIRST_BYTES, END_MS);
    const pings = cleanup.use(
      daemon(["ping", "-n", `-i${intervalSeconds}`, to.address]),
    );
    await delay(200);
    cleanup.move();
    return new SteadyTraffic(pings, sender, receiver);

    function daemon(command: readonly string[]): Daemon {
      return new Daemon({
        name: command.find((word) => word.endsWith(".ts")) ?? command[0]!,
        command: [...from.namespace.commandPrefix, ...command],
        logFile: `${rig.directory}/${crypto.randomUUID()}.log`,
      });
    }
  }

  /** Ends both. Throws when a byte of the stream is missing or wrong. */
  async finish(): Promise<PingAccount> {
    // What the last pings ask is answered within this.
    await delay(200);
    this.#pings.kill("SIGINT");
    await this.#pings.ended(END_MS);
    this.#sender.kill("SIGTERM");
    const [, digest] = await this.#sender.untilLogged(
      /^([0-9a-f]{64})$/m,
      END_MS,
    );
    await this.#receiver.untilLogged(new RegExp(`^${digest}$`, "m"), END_MS);
    return accountOf(this.#pings.log());
  }

  /** Ends both: every ping was answered once, and every byte arrived. */
  async assertNothingLost(): Promise<void> {
    const { duplicates, lost, received, sent } = await this.finish();
    assertEquals({ lost, duplicates }, { lost: [], duplicates: 0 });
    // The last one may still be on its way.
    assertEquals(received >= sent - 1, true, `${received} of ${sent}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      [this.#pings, this.#sender, this.#receiver].map((each) => each.stop()),
    );
  }
}

/** Reads what iputils' `ping` says, line by line. */
export function accountOf(output: string): PingAccount {
  const counts = /^(\d+) packets transmitted, (\d+) received/m.exec(output);
  if (!counts) {
    throw new Error(
      `Cannot read what ping said: it must end with a summary: ${output}`,
    );
  }
  const sent = Number(counts[1]);
  const answers = [...output.matchAll(/ icmp_seq=(\d+) ttl=.*$/gm)];
  const answered = new Set(answers.map((match) => Number(match[1])));
  const lost: number[] = [];
  // Nobody has waited for the answer to the last one.
  for (let number = 1; number < sent; number++) {
    if (!answered.has(number)) lost.push(number);
  }
  return {
    sent,
    received: Number(counts[2]),
    duplicates: answers.filter(([line]) => line.endsWith("(DUP!)")).length,
    lost,
  };
}
