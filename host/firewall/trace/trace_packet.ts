/**
 * Follows one real packet through the rules of this host: a table of our own marks
 * it for nf_tables' trace, which names the rule that drops it.
 *
 * The table belongs to the nft that has made it (`flags owner`, Linux 5.12) and
 * goes with it, however this process ends.
 *
 * @module
 */

import { LodenError } from "../../../errors.ts";
import { childEnvironment } from "../../../linux/child_environment.ts";
import type { Clock } from "../../../linux/clock.ts";
import { sendPacket } from "../../../linux/raw_packet.ts";
import { buildFirstPacket } from "../../../net/first_packet.ts";
import { formatIpv4, type Ipv4, ipv4FromBytes } from "../../../net/ipv4.ts";
import {
  isReady,
  OWN_CHAINS,
  type PacketFate,
  parseTrace,
} from "./parse_trace.ts";

/** By which the packet is known. */
export interface TracedPacket {
  readonly source: Ipv4;
  readonly destination: Ipv4;
  /** Both of its IPv4 header. */
  readonly id: number;
  /** When it is sent. It tells the packet from others of a busy flow. */
  readonly ttl: number;
}

/** The packet cannot be followed here. Its code is `firewall.no-trace`. */
export class NoTraceError extends LodenError {
  constructor(reason: string) {
    super("firewall.no-trace", `Cannot follow a packet: ${reason}`);
  }
}

/** Of everything; nft is ended then, even if this process has gone. */
const LIMIT_SECONDS = 3;
/** For an nft that does not end when it is told to. */
const KILL_SECONDS = 0.5;
/** Until nft prints what is traced: it reads all rules of the host before. */
const READY_MS = 2_000;
const ATTEMPTS = 4;
const ATTEMPT_MS = 200;
const LOOK_MS = 20;
const LOOPBACK = ipv4FromBytes(Uint8Array.of(127, 0, 0, 1));
/** RFC 863. */
const DISCARD_PORT = 9;

/**
 * Sends it up to four times, until its fate is known.
 *
 * @throws {NoTraceError} and what `send` throws.
 */
export async function tracePacket(
  clock: Clock,
  packet: TracedPacket,
  send: () => void,
  signal: AbortSignal,
): Promise<PacketFate> {
  const table = `loden_explain_${Deno.pid}`;
  await using nft = new Nft();
  await nft.write(commands(table, packet));
  const marker = buildFirstPacket({
    ...markerOf(packet),
    protocol: 17,
    ports: [DISCARD_PORT, DISCARD_PORT],
    sizeBytes: 0,
  });
  const isTracing = () => {
    if (isReady(nft.output, table)) return true;
    if (nft.error === "") sendPacket(marker, LOOPBACK);
    return nft.error !== "";
  };
  await until(isTracing, READY_MS);
  if (!isReady(nft.output, table)) throw nft.failure();
  const fate = () => parseTrace(nft.output, table);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    send();
    if (await until(() => fate().kind !== "lost", ATTEMPT_MS)) return fate();
    if (nft.hasEnded) throw nft.failure();
  }
  return fate();

  async function until(isDone: () => boolean, limitMs: number) {
    const endMs = clock.monotonic() + limitMs;
    while (!isDone() && !nft.hasEnded && clock.monotonic() < endMs) {
      await clock.sleep(LOOK_MS, signal);
    }
    return isDone();
  }
}

/** A packet of this host to itself, which its table drops. */
function markerOf({ id }: TracedPacket): TracedPacket {
  return { source: LOOPBACK, destination: LOOPBACK, id, ttl: 1 };
}

function commands(table: string, packet: TracedPacket): string {
  const { first, forward, last, local, ready } = OWN_CHAINS;
  const chain = (name: string, hook: string, priority: number) =>
    `add chain ip ${table} ${name} ` +
    `{ type filter hook ${hook} priority ${priority}; }`;
  const mark = (name: string, { id, source, ttl }: TracedPacket, more = "") =>
    `add rule ip ${table} ${name} ip id ${id} ip ttl ${ttl} ` +
    `ip saddr ${formatIpv4(source)} ${more} meta nftrace set 1`;
  const to = ({ destination }: TracedPacket) =>
    `ip daddr ${formatIpv4(destination)}`;
  const marker = markerOf(packet);
  return [
    `add table ip ${table} { flags owner; }`,
    chain(ready, "output", -401),
    chain(first, "prerouting", -400),
    chain(local, "output", -400),
    chain(forward, "forward", -400),
    chain(last, "postrouting", 400),
    `${mark(ready, marker, to(marker))} drop`,
    mark(first, packet, to(packet)),
    mark(local, packet, to(packet)),
    // Another rule may have changed the destination, and the host has taken one.
    mark(forward, { ...packet, ttl: packet.ttl - 1 }),
    "monitor trace",
    "",
  ].join("\n");
}

/** `nft -i`. */
class Nft implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  output = "";
  #errors = "";
  hasEnded = false;

  /** @throws {NoTraceError} */
  constructor() {
    try {
      this.#child = new Deno.Command("timeout", {
        args: [
          "--foreground",
          `--kill-after=${KILL_SECONDS}`,
          `${LIMIT_SECONDS}`,
          ...["nft", "-i"],
        ],
        env: childEnvironment(),
        clearEnv: true,
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new NoTraceError("there is no program timeout");
    }
    this.#reading = Promise.all([
      read(this.#child.stdout, (text) => this.output += text),
      read(this.#child.stderr, (text) => this.#errors += text),
    ]).then(() => void (this.hasEnded = true));
  }

  /** The first line of what it has complained about. */
  get error(): string {
    return this.#errors.trim().split("\n", 1)[0]!;
  }

  failure(): NoTraceError {
    const what = this.hasEnded ? "nft has ended" : "nft does not answer";
    return new NoTraceError(this.error || what);
  }

  async write(text: string): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    try {
      await writer.write(new TextEncoder().encode(text));
    } catch {
      // It has ended, and its error says why.
    } finally {
      writer.releaseLock();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGTERM");
    } catch (error) {
      // It has ended.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#reading;
    await this.#child.status;
    await this.#child.stdin.close().catch(() => {});
  }
}

async function read(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  take: (text: string) => void,
): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    take(text);
  }
}
