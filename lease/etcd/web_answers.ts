/**
 * What an etcd member says over HTTP on its client port, beside the protocol.
 *
 * Source: etcd's `server/etcdserver/api/etcdhttp`.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import * as v from "valibot";
import { jsonIn } from "../../net/schemas.ts";
import { readTlsFiles, type TlsFiles } from "./credentials.ts";
import type { Endpoint } from "./endpoint.ts";

/** Every part may be missing: a member may serve no HTTP there. */
export interface WebAnswers {
  /** `3.5.16`. */
  readonly version?: string;
  /** Whether the member says that it is healthy. */
  readonly healthy?: boolean;
  /** Why it is not: `ALARM NOSPACE`. */
  readonly reason?: string;
  /** How far its clock is ahead of ours: between these two. */
  readonly aheadMs?: { readonly least: number; readonly most: number };
}

const MOST_BYTES = 65_536;
/** A date has whole seconds. */
const DATE_STEP_MS = 1_000;

const versionSchema = v.object({ etcdserver: v.string() });
const healthSchema = v.object({
  health: v.union([v.string(), v.boolean()]),
  reason: v.optional(v.string(), ""),
});

/** Never rejects: what cannot be had is absent. */
export async function askWeb(
  endpoint: Endpoint,
  tls: TlsFiles,
  signal: AbortSignal,
): Promise<WebAnswers> {
  const [version, health] = await Promise.all(
    ["/version", "/health"].map((path) =>
      Promise.try(() => ask(endpoint, tls, path, signal)).catch(() => undefined)
    ),
  );
  return {
    ...parseVersion(version?.text ?? ""),
    ...parseHealth(health?.text ?? ""),
    ...version === undefined ? {} : clockOf(version),
  };
}

/** The answer to `/version`. */
export function parseVersion(text: string): Pick<WebAnswers, "version"> {
  const value = jsonIn(text);
  return v.is(versionSchema, value) ? { version: value.etcdserver } : {};
}

/** The answer to `/health`: 200 or 503. */
export function parseHealth(
  text: string,
): Pick<WebAnswers, "healthy" | "reason"> {
  const result = v.safeParse(healthSchema, jsonIn(text));
  if (!result.success) return {};
  const { health, reason } = result.output;
  return { healthy: String(health) === "true", reason };
}

/** When a question was sent, and what came when. */
export interface DatedAnswer {
  readonly date: string | undefined;
  readonly sentMs: number;
  readonly receivedMs: number;
}

/** The clock stood at the date, or less than a second later, in between. */
export function clockOf(
  { date = "", receivedMs, sentMs }: DatedAnswer,
): Pick<WebAnswers, "aheadMs"> {
  const theirsMs = Date.parse(date);
  if (Number.isNaN(theirsMs)) return {};
  return {
    aheadMs: {
      least: theirsMs - receivedMs,
      most: theirsMs + DATE_STEP_MS - sentMs,
    },
  };
}

/**
 * One question in HTTP/1.0, which ends with the connection. Neither `fetch`, which
 * would use a web proxy, nor `node:http`, whose answers the signal does not end in
 * Deno 2.7.
 */
function ask(
  { host, port, tls: isTls }: Endpoint,
  tls: TlsFiles,
  path: string,
  signal: AbortSignal,
): Promise<DatedAnswer & { readonly text: string }> {
  const sentMs = Date.now();
  const { promise, reject, resolve } = Promise.withResolvers<
    DatedAnswer & { readonly text: string }
  >();
  const socket = isTls
    ? connectTls({ host, port, ...readTlsFiles(tls) })
    : connect({ host, port });
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let receivedMs = 0;
  const fail = (reason: unknown) => {
    socket.destroy();
    reject(reason);
  };
  const abort = () => fail(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  socket.once(isTls ? "secureConnect" : "connect", () => {
    socket.write(`GET ${path} HTTP/1.0\r\nHost: ${host}:${port}\r\n\r\n`);
  });
  socket.on("data", (chunk: Uint8Array) => {
    receivedMs ||= Date.now();
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > MOST_BYTES) fail(new Error("the answer is too long"));
  });
  socket.once("error", fail);
  socket.once("end", () => {
    socket.destroy();
    const [head = "", ...body] = Buffer.concat(chunks).toString()
      .split("\r\n\r\n");
    const date = /^date: *(.+)$/im.exec(head)?.[1];
    resolve({ text: body.join("\r\n\r\n"), date, sentMs, receivedMs });
  });
  return promise.finally(() => signal.removeEventListener("abort", abort));
}
