/**
 * A small HTTP/1.1 server for callers that are not trusted: one request a
 * connection, with limits on bytes, time and connections.
 *
 * `Deno.serve` has no such limits, and its `request.url` throws for some values of
 * `Host`, with the caller's words in the message. Here a body is read past, and no
 * bytes make it throw.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { delay } from "@std/async/delay";
import { slept, systemClock } from "../../linux/clock.ts";
import {
  encodeAnswer,
  encodeHead,
  parseRequestHead,
  type PlainAnswer,
  type PlainRequest,
} from "./http_message.ts";

const log = getLogger(["loden", "agent"]);

/** Lines that are sent as they come, until their end or the caller's. */
export interface StreamAnswer {
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Called before the head is sent. */
  readonly open: () => LineSource;
}

/** Where they come from. */
export interface LineSource extends Disposable {
  /** The next ones; `undefined` at the end. */
  next(): Promise<string | undefined>;
}

/** Either of them. */
export type Answer = PlainAnswer | StreamAnswer;

/** Answers a request; what it throws is logged and answered with 500. */
export type Handler = (
  request: PlainRequest,
) => PlainAnswer | Promise<PlainAnswer>;

/** The same with a stream. */
export type StreamHandler = (request: PlainRequest) => StreamAnswer;

/** Of one connection and of all. */
export interface RequestLimits {
  /** Of the request line and the headers; then 431. */
  readonly headerBytes: number;
  /** From the connection to the end of the headers; then 408. */
  readonly requestMs: number;
  /** From then to the end of the answer, to a caller that does not read. */
  readonly answerMs: number;
  /** At once; one more ends the oldest. */
  readonly connections: number;
  /** Streams at once, which are not among those; one more gets 503. */
  readonly streams: number;
}

/** More than any probe needs. */
export const REQUEST_LIMITS: RequestLimits = {
  headerBytes: 8_192,
  requestMs: 5_000,
  answerMs: 10_000,
  connections: 64,
  streams: 8,
};

/** Then what these ask is answered, and the rest of the agent has its turn. */
const ACCEPTED_AT_ONCE = 16;

/** Until the next attempt, where the process has no more descriptors. */
const ACCEPT_AGAIN_MS = 1_000;

/** What a body that follows the headers may be, before the connection is reset. */
const DRAINED_BYTES = 65_536;

/** See the module. */
export class RequestServer {
  readonly #listener: Deno.Listener<Deno.Conn>;
  readonly #answer: (request: PlainRequest) => Answer | Promise<Answer>;
  readonly #limits: RequestLimits;
  /** The oldest first. */
  readonly #open = new Set<Connection>();
  readonly #streams = new Set<Connection>();
  readonly #ending = new AbortController();
  readonly #accepting: Promise<void>;

  /** Closes the listener when it is stopped. */
  constructor(
    listener: Deno.Listener<Deno.Conn>,
    answer: (request: PlainRequest) => Answer | Promise<Answer>,
    limits: RequestLimits = REQUEST_LIMITS,
  ) {
    this.#listener = listener;
    this.#answer = answer;
    this.#limits = limits;
    this.#accepting = this.#accept();
  }

  /** How many connections there are. */
  get connections(): number {
    return this.#open.size;
  }

  /** Ends connections that are open, too. */
  async stop(): Promise<void> {
    this.#ending.abort();
    this.#listener.close();
    for (const connection of this.#open) connection.close();
    for (const connection of this.#streams) connection.close();
    await this.#accepting;
  }

  async #accept(): Promise<void> {
    const serving = new Set<Promise<void>>();
    let accepted = 0;
    while (!this.#ending.signal.aborted) {
      const conn = await this.#next();
      // Those that wait would be accepted at a stretch: none would be answered in
      // between, and the agent would stand still.
      if (++accepted % ACCEPTED_AT_ONCE === 0) await delay(0);
      if (conn === undefined) continue;
      if (this.#open.size >= this.#limits.connections) {
        const [oldest] = this.#open;
        this.#open.delete(oldest!);
        oldest!.close();
      }
      const connection = new Connection(conn);
      this.#open.add(connection);
      const served = this.#serve(connection).finally(() => {
        this.#open.delete(connection);
        serving.delete(served);
      });
      serving.add(served);
    }
    await Promise.all(serving);
  }

  /**
   * `undefined` if there is none. Never throws: a caller that resets its connection
   * while it waits must not end the server, and with it the agent.
   */
  async #next(): Promise<Deno.Conn | undefined> {
    const { signal } = this.#ending;
    try {
      return await this.#listener.accept();
    } catch (error) {
      const isReset = error instanceof Deno.errors.NotConnected ||
        error instanceof Deno.errors.ConnectionAborted;
      if (isReset || signal.aborted) return undefined;
      log.error("a request could not be answered", {
        event: "agent.answer-failed",
        error,
      });
      await slept(systemClock, ACCEPT_AGAIN_MS, signal);
      return undefined;
    }
  }

  /** Never throws: whatever happens is between the caller and its connection. */
  async #serve(connection: Connection): Promise<void> {
    const { headerBytes, requestMs, answerMs } = this.#limits;
    try {
      const head = await connection.readHead(headerBytes, requestMs);
      const request = head.kind === "whole"
        ? parseRequestHead(head.text, connection.ends)
        : undefined;
      const answer = request !== undefined
        ? await this.#ask(request)
        : head.kind === "too-long"
        ? { status: 431, body: "request header fields too large\n" }
        : head.kind === "late"
        ? { status: 408, body: "request timeout\n" }
        : { status: 400, body: "bad request\n" };
      if ("source" in answer) return await this.#stream(connection, answer);
      const parts = encodeAnswer(answer, request?.method !== "HEAD");
      await connection.send(parts, answerMs);
    } catch {
      // The caller has gone or was cut off by a limit, so there is no one to answer.
    } finally {
      connection.close();
    }
  }

  /**
   * A caller that does not read stops its own stream only: the source must not
   * keep more and more for it.
   */
  async #stream(
    connection: Connection,
    { contentType, headers, source }: OpenStream,
  ): Promise<void> {
    using _source = source;
    this.#open.delete(connection);
    this.#streams.add(connection);
    try {
      await connection.stream(
        encodeHead(200, { "content-type": contentType, ...headers }),
      );
      const gone = connection.untilGone().then(() => undefined);
      for (;;) {
        const lines = await Promise.race([source.next(), gone]);
        if (lines === undefined) return;
        // Before Deno 2.9 a write that waits outlives the connection's close.
        const sending = connection.stream(new TextEncoder().encode(lines))
          .then(() => true);
        sending.catch(() => {});
        if (!await Promise.race([sending, gone])) return;
      }
    } finally {
      this.#streams.delete(connection);
    }
  }

  async #ask(request: PlainRequest): Promise<PlainAnswer | OpenStream> {
    try {
      const answer = await this.#answer(request);
      if (!("open" in answer)) return answer;
      if (this.#streams.size >= this.#limits.streams) {
        return { status: 503, body: "too many streams\n" };
      }
      const { contentType, headers = {}, open } = answer;
      return request.method === "HEAD"
        ? { status: 200, body: "", contentType, headers }
        : { contentType, headers, source: open() };
    } catch (error) {
      log.error("a request could not be answered", {
        event: "agent.answer-failed",
        error,
      });
      return { status: 500, body: "internal server error\n" };
    }
  }
}

/** A {@linkcode StreamAnswer} whose lines have begun. */
interface OpenStream extends Omit<StreamAnswer, "open"> {
  readonly source: LineSource;
}

type Head =
  | { readonly kind: "whole"; readonly text: string }
  | { readonly kind: "too-long" | "late" | "ended" };

/** One connection, closed once. */
class Connection {
  readonly #conn: Deno.Conn;
  #isClosed = false;

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  get ends(): PlainRequest["ends"] {
    const { localAddr: local, remoteAddr: remote } = this.#conn;
    if (!("hostname" in local) || !("hostname" in remote)) return undefined;
    return { local: local.hostname, remote: remote.hostname };
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#conn.close();
  }

  /** The bytes up to the empty line, one character each. */
  async readHead(most: number, limitMs: number): Promise<Head> {
    const late = Promise.withResolvers<"late">();
    const timer = setTimeout(() => late.resolve("late"), limitMs);
    const chunk = new Uint8Array(most + 1);
    let text = "";
    try {
      while (text.length <= most) {
        const reading = this.#conn.read(chunk.subarray(0, most + 1));
        // It rejects when the connection is closed after the time is over.
        reading.catch(() => {});
        const length = await Promise.race([reading, late.promise]);
        if (length === "late") return { kind: "late" };
        if (length === null) return { kind: "ended" };
        text += latin1(chunk.subarray(0, length));
        const end = /\r?\n\r?\n/.exec(text);
        if (end !== null && end.index <= most) return { kind: "whole", text };
      }
      return { kind: "too-long" };
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Sends, says that this is the end, and reads past what still comes: closing with
   * unread bytes would reset the connection before the caller has the answer.
   */
  async send(parts: readonly Uint8Array[], limitMs: number): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      this.close();
      late.resolve();
    }, limitMs);
    try {
      // Before Deno 2.9 a write that waits outlives the connection's close.
      const sending = this.#sendAll(parts);
      sending.catch(() => {});
      await Promise.race([sending, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends a part; waits for as long as the caller does not read. */
  async stream(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) {
      sent += await this.#conn.write(bytes.subarray(sent));
    }
  }

  /** Until the caller has closed its end, or is no more. Never rejects. */
  async untilGone(): Promise<void> {
    const rest = new Uint8Array(4_096);
    try {
      while (await this.#conn.read(rest) !== null);
    } catch {
      // Reset, or closed by this side.
    }
  }

  async #sendAll(parts: readonly Uint8Array[]): Promise<void> {
    for (const bytes of parts) await this.stream(bytes);
    await this.#conn.closeWrite();
    const rest = new Uint8Array(4_096);
    for (let drained = 0; drained < DRAINED_BYTES;) {
      const length = await this.#conn.read(rest);
      if (length === null) break;
      drained += length;
    }
  }
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
