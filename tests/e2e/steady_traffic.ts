/**
 * Traffic that goes on while a test does something to the hosts: pings, close
 * together, and a TCP stream, and afterwards the account of both.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { Daemon } from "../rig/daemon.ts";
import type { NetNamespace } from "../rig/namespace.ts";
import { eventually, serve } from "./overlay.ts";
import { program } from "./programs/path.ts";
import type { Ends } from "./traffic.ts";

const INTERVAL_SECONDS = 0.005;
const PORT = "7003";
const END_MS = 10_000;
const ANSWER = / icmp_seq=(\d+) ttl=.*$/gm;
/** So many younger answers say that the older ones do not come any more. */
const FRESH_ANSWERS = 10;
const STALL_MS = 20_000;
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
  readonly #from: NetNamespace;

  private constructor(
    from: NetNamespace,
    pings: Daemon,
    sender: Daemon,
    receiver: Daemon,
  ) {
    this.#from = from;
    this.#pings = pings;
    this.#sender = sender;
    this.#receiver = receiver;
  }

  /**
   * Returns when both are under way.
   *
   * @param intervalSeconds between pings, 5 ms by default.
   * @param streamPauseMs between pieces of 64 KiB of the stream; the default,
   * 5 ms, is too much for a virtual machine that encrypts.
   */
  static async start(
    { from, rig, to }: Ends,
    intervalSeconds = INTERVAL_SECONDS,
    streamPauseMs?: number,
  ): Promise<SteadyTraffic> {
    await using cleanup = new AsyncDisposableStack();
    const receiver = cleanup.use(
      await serve(rig, to.namespace, program("tcp_digest.ts", PORT)),
    );
    const sender = cleanup.use(
      daemon(
        program(
          "tcp_steady.ts",
          to.address,
          PORT,
          ...streamPauseMs === undefined ? [] : [String(streamPauseMs)],
        ),
      ),
    );
    await sender.untilLogged(FIRST_BYTES, END_MS);
    const pings = cleanup.use(
      daemon(["ping", "-n", `-i${intervalSeconds}`, to.address]),
    );
    await delay(200);
    cleanup.move();
    return new SteadyTraffic(from.namespace, pings, sender, receiver);

    function daemon(command: readonly string[]): Daemon {
      return new Daemon({
        name: command.find((word) => word.endsWith(".ts")) ?? command[0]!,
        command: [...from.namespace.commandPrefix, ...command],
        env: { LC_ALL: "C" },
        logFile: `${rig.directory}/${crypto.randomUUID()}.log`,
      });
    }
  }

  /**
   * What became of the pings sent until now; waits until younger ones are
   * answered. Throws when that or the stream stands still.
   */
  async soFar(): Promise<PingAccount> {
    const [pings, bytes] = [this.#answered(), await this.#acknowledged()];
    await eventually(
      "pings and the stream going on",
      async () => ({
        answers: this.#answered() - pings,
        bytes: await this.#acknowledged() - bytes,
      }),
      (moved) => moved.answers >= FRESH_ANSWERS && moved.bytes > 0,
      STALL_MS,
    );
    const numbers = answersOf(this.#pings.log());
    const last = numbers.reduce((most, each) => Math.max(most, each), 0);
    return {
      sent: last,
      received: new Set(numbers).size,
      duplicates: numbers.length - new Set(numbers).size,
      lost: missing(numbers, last),
    };
  }

  #answered(): number {
    return answersOf(this.#pings.log()).length;
  }

  /** Bytes of the stream that have arrived, by the sender's kernel. */
  async #acknowledged(): Promise<number> {
    const said = await this.#from.run(["ss", "-tinH", "dport", `= :${PORT}`]);
    return Number(/bytes_acked:(\d+)/.exec(said)?.[1] ?? 0);
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
  const answers = [...output.matchAll(ANSWER)];
  return {
    sent,
    received: Number(counts[2]),
    duplicates: answers.filter(([line]) => line.endsWith("(DUP!)")).length,
    // Nobody has waited for the answer to the last one.
    lost: missing(answersOf(output), sent),
  };
}

/** Those pings that were not answered although younger ones were. */
export function lostOf(output: string): number[] {
  const numbers = answersOf(output);
  return missing(numbers, numbers.at(-1) ?? 0);
}

function answersOf(output: string): number[] {
  return [...output.matchAll(ANSWER)].map(([, number]) => Number(number));
}

/** Those of 1 .. end - 1 that were not answered. */
function missing(answers: readonly number[], end: number): number[] {
  const answered = new Set(answers);
  const lost: number[] = [];
  for (let number = 1; number < end; number++) {
    if (!answered.has(number)) lost.push(number);
  }
  return lost;
}
