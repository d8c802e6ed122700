/**
 * Classifies a failed gRPC call.
 *
 * gRPC has a handful of status codes; what an operator needs is in the text
 * after them. Some failures are ambiguous: a port that closes the connection
 * may expect TLS, be a web server, or be an etcd that just died. Those are
 * marked, and `probe.ts` probes the port.
 *
 * @module
 */

import { status } from "@grpc/grpc-js";
import type { RegistryFault } from "../errors.ts";

/** The result of one failed attempt at one endpoint. */
export interface CallFailure {
  readonly fault: RegistryFault;
  /** For the operator: one line, without gRPC's codes and time stamps. */
  readonly detail: string;
  /** Whether probing the port may give a better diagnosis. */
  readonly ambiguous: boolean;
  /** Whether etcd may have carried out the request. */
  readonly uncertain: boolean;
  /** Whether the connection was not established in time. */
  readonly connecting: boolean;
}

interface Rule {
  readonly code?: number;
  readonly words?: RegExp;
  readonly fault: RegistryFault;
  /** Replaces gRPC's own text. */
  readonly detail?: string;
  readonly ambiguous?: true;
  readonly uncertain?: true;
}

/** The first match decides. */
const RULES: readonly Rule[] = [
  // etcd's own answers: api/v3rpc/rpctypes/error.go
  { words: /has been compacted/, fault: "compacted" },
  { words: /etcdserver: permission denied/, fault: "permission" },
  {
    words:
      /authentication failed|invalid auth token|user name is empty|password is empty|authentication is not enabled|revision of auth store/,
    fault: "auth",
  },
  { words: /database space exceeded|etcdserver: no space/, fault: "no-space" },
  {
    words: /etcdserver: (no leader|not leader|leader changed)/,
    fault: "no-leader",
    uncertain: true,
  },
  {
    // The answer of a member without a quorum, after its own time limit.
    words: /etcdserver: request timed out/,
    fault: "no-leader",
    uncertain: true,
  },
  {
    words: /etcdserver: server stopped/,
    fault: "unreachable",
    detail: "this etcd member is stopping",
    uncertain: true,
  },
  // Connection errors of grpc-js and the TLS layer.
  { words: /TLS file /, fault: "tls" },
  {
    // The resolver has no address, fails, or does not answer in time.
    words:
      /Name resolution failed|waiting for name resolution|ENOTFOUND|EAI_AGAIN/,
    fault: "dns",
    detail: "no resolver has an address for it",
  },
  {
    words: /ECONNREFUSED/,
    fault: "refused",
    detail: "nothing listens on that port",
  },
  { words: /EHOSTUNREACH|ENETUNREACH|EHOSTDOWN/, fault: "unreachable" },
  { words: /ETIMEDOUT/, fault: "unreachable", ambiguous: true },
  {
    // The handshake ends without an alert: a plain-text port, or a dying etcd.
    words: /before secure TLS connection|wrong version number|packet length/i,
    fault: "tls",
    ambiguous: true,
  },
  {
    // Deno's text for every certificate that it rejects, including an expired
    // one.
    words: /unable to verify/,
    fault: "tls",
    detail: "the server's certificate is not signed by a trusted authority",
    ambiguous: true,
  },
  { words: /certificate|altnames|self.signed|alert|issuer/i, fault: "tls" },
  {
    // No other code cancels calls; an aborted caller gets the signal's reason.
    code: status.CANCELLED,
    fault: "unreachable",
    detail: "the connection was closed to open a new one",
    uncertain: true,
  },
  {
    code: status.DEADLINE_EXCEEDED,
    fault: "deadline",
    detail: "no answer in time",
    ambiguous: true,
    uncertain: true,
  },
  // A gRPC server that is not etcd, or a web server in front of it.
  {
    code: status.UNIMPLEMENTED,
    fault: "not-etcd",
    detail: "the server there has no etcd v3 service",
  },
  {
    words: /HTTP status code|without gRPC status/,
    fault: "not-etcd",
    detail: "a web server answers there, not gRPC",
    ambiguous: true,
  },
  { code: status.UNAUTHENTICATED, fault: "auth" },
  { code: status.PERMISSION_DENIED, fault: "permission" },
  {
    words: /Protocol error|PROTOCOL_ERROR|FRAME_SIZE/,
    fault: "not-etcd",
    ambiguous: true,
    uncertain: true,
  },
  {
    words:
      /EPIPE|ECONNRESET|Connection dropped|No connection established|session|RST_STREAM|socket|closed/i,
    fault: "unreachable",
    detail: "the connection broke",
    ambiguous: true,
    uncertain: true,
  },
  { code: status.INTERNAL, fault: "unknown", ambiguous: true, uncertain: true },
];

/** grpc-js's text for calls that never left this process. */
const NEVER_SENT =
  /No connection established|name resolution|Waiting for LB pick|Failed to start HTTP\/2 stream/i;

const CONNECTING = /Waiting for LB pick/;

/** Classifies the error of a gRPC call or of opening its connection. */
export function classifyFailure(error: unknown): CallFailure {
  const { code, words } = wordsOf(error);
  const rule = RULES.find((rule) =>
    (rule.code === undefined || rule.code === code) &&
    (rule.words === undefined || rule.words.test(words))
  );
  return {
    fault: rule?.fault ?? "unknown",
    detail: rule?.detail ?? tidy(words),
    ambiguous: rule?.ambiguous ?? false,
    uncertain: (rule?.uncertain ?? rule === undefined) &&
      !NEVER_SENT.test(words),
    connecting: CONNECTING.test(words),
  };
}

function wordsOf(error: unknown): { code: number | undefined; words: string } {
  if (!(error instanceof Error)) {
    return { code: undefined, words: String(error) };
  }
  const { code, details } = error as Error & {
    code?: unknown;
    details?: unknown;
  };
  return {
    code: typeof code === "number" ? code : undefined,
    words: typeof details === "string" && details !== ""
      ? details
      : error.message,
  };
}

/** The end of the text is the cause; the rest is grpc-js's own state. */
function tidy(words: string): string {
  return words
    .replace(/^.*Last error: /s, "")
    .replace(/^\d+ [A-Z_]+: /, "")
    .replace(/^Received RST_STREAM .* client error: /, "")
    .replace(/ \(\d{4}-\d\d-\d\dT[^)]*\)$/, "")
    .replaceAll(/\s+/g, " ");
}
