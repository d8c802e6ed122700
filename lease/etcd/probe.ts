/**
 * Probes a port that does not answer like etcd, to find out what it is.
 *
 * @module
 */

import { connect as connectTls } from "node:tls";
import { hasShakenHands } from "../../deno27/tls_handshake.ts";
import type { RegistryFault } from "../errors.ts";
import type { Endpoint } from "./endpoint.ts";

/** The result of a probe. */
export interface ProbeFinding {
  readonly fault: RegistryFault;
  readonly detail: string;
}

/**
 * Connects to the endpoint and sends the HTTP/2 preface.
 *
 * @returns `undefined` if the port behaves like etcd, so that the fault is
 * elsewhere. Never throws; ends after about `timeoutMs`.
 */
export async function probeEndpoint(
  endpoint: Endpoint,
  timeoutMs: number,
): Promise<ProbeFinding | undefined> {
  const answer = await firstBytes(endpoint, timeoutMs);
  if (endpoint.tls) {
    if (answer.kind === "failed") return answer.finding;
    if (isHttp2Settings(answer.bytes)) {
      return {
        fault: "not-etcd",
        detail: "the port speaks plain text, not TLS: use http://",
      };
    }
    const shaken = await handshake(endpoint, timeoutMs);
    switch (shaken.result) {
      case "secure":
        return explainDates(shaken.validFrom, shaken.validTo);
      case "refused-us":
        return {
          fault: "tls",
          detail:
            "the server ends the connection after the handshake: it wants a client certificate that it trusts",
        };
      case "none":
        return describeForeign(answer.bytes, "does not speak TLS");
    }
  }
  if (answer.kind === "failed") return answer.finding;
  if (isHttp2Settings(answer.bytes)) return undefined;
  const speaksTls = isTls(answer.bytes) ||
    (await handshake(endpoint, timeoutMs)).result !== "none";
  if (speaksTls) {
    return {
      fault: "not-etcd",
      detail: "the port speaks TLS, not plain text: use https://",
    };
  }
  return describeForeign(answer.bytes, "does not speak HTTP/2");
}

type Answer =
  | { readonly kind: "answered"; readonly bytes: Uint8Array }
  | { readonly kind: "failed"; readonly finding: ProbeFinding };

/** The connection preface and an empty SETTINGS frame (RFC 9113, 3.4 and 6.5). */
const HTTP2_PREFACE = new TextEncoder().encode(
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
);

/** The port's answer to an HTTP/2 client; empty if it closes the connection. */
async function firstBytes(
  { host, port }: Endpoint,
  timeoutMs: number,
): Promise<Answer> {
  const timeout = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => timeout.resolve(undefined), timeoutMs);
  const connecting = Deno.connect({ hostname: host, port });
  try {
    const connection = await Promise.race([connecting, timeout.promise]);
    if (connection === undefined) {
      // The connection may still be established after we stopped waiting.
      connecting.then((late) => late.close(), () => {});
      return failed("unreachable", "no answer to the connection attempt");
    }
    try {
      const buffer = new Uint8Array(64);
      const read = connection.write(HTTP2_PREFACE)
        .then(() => connection.read(buffer))
        // A reset counts as closing the connection.
        .catch(() => null);
      const count = await Promise.race([read, timeout.promise]);
      return count === undefined
        ? failed("deadline", "the port accepts connections but does not answer")
        : { kind: "answered", bytes: buffer.subarray(0, count ?? 0) };
    } finally {
      connection.close();
    }
  } catch (error) {
    return { kind: "failed", finding: explainConnectError(error) };
  } finally {
    clearTimeout(timer);
  }
}

function explainConnectError(error: unknown): ProbeFinding {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Deno.errors.ConnectionRefused) {
    return { fault: "refused", detail: "nothing listens on that port" };
  }
  if (/lookup|resolve|name or service/i.test(message)) {
    return { fault: "dns", detail: message };
  }
  return { fault: "unreachable", detail: message };
}

/** How long a server may take to reject a client after the handshake. */
const REFUSAL_MS = 300;

type Handshake =
  | {
    readonly result: "secure";
    /** Dates of the server's certificate, as text. */
    readonly validFrom: string;
    readonly validTo: string;
  }
  | { readonly result: "refused-us" | "none" };

/**
 * Whether a TLS handshake succeeds, with any certificate. In TLS 1.3 the server
 * rejects the client only after the client has finished its side.
 */
function handshake(
  { host, port }: Endpoint,
  timeoutMs: number,
): Promise<Handshake> {
  return new Promise((resolve) => {
    const socket = connectTls({
      host,
      port,
      rejectUnauthorized: false,
      ALPNProtocols: ["h2"],
    });
    let secure = false;
    let timer = setTimeout(() => finish({ result: "none" }), timeoutMs);
    const finish = (shaken: Handshake) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(shaken);
    };
    socket.once("secureConnect", () => {
      if (!hasShakenHands(socket)) return;
      secure = true;
      const { valid_from, valid_to } = socket.getPeerCertificate();
      clearTimeout(timer);
      timer = setTimeout(() =>
        finish({
          result: "secure",
          validFrom: valid_from,
          validTo: valid_to,
        }), REFUSAL_MS);
    });
    socket.on("error", (error) => {
      const inTls = secure || /alert/i.test(error.message);
      finish({ result: inTls ? "refused-us" : "none" });
    });
    socket.once(
      "close",
      () => finish({ result: secure ? "refused-us" : "none" }),
    );
  });
}

function explainDates(
  validFrom: string,
  validTo: string,
): ProbeFinding | undefined {
  const now = Date.now();
  if (Date.parse(validTo) < now) {
    return {
      fault: "tls",
      detail: `the server's certificate has expired: it ended ${validTo}`,
    };
  }
  return Date.parse(validFrom) > now
    ? {
      fault: "tls",
      detail:
        `the server's certificate is not valid yet by this host's clock: it begins ${validFrom}`,
    }
    : undefined;
}

/** Frame type 4 on stream 0. */
function isHttp2Settings(bytes: Uint8Array): boolean {
  return bytes.length >= 9 && bytes[3] === 4 &&
    bytes.subarray(5, 9).every((byte) => byte === 0);
}

/** A TLS record: an alert in response to something that is not a handshake. */
function isTls(bytes: Uint8Array): boolean {
  return bytes[0] === 0x15 && bytes[1] === 0x03;
}

function describeForeign(bytes: Uint8Array, otherwise: string): ProbeFinding {
  const text = new TextDecoder().decode(bytes);
  if (text.startsWith("HTTP/1")) {
    return {
      fault: "not-etcd",
      detail: "an HTTP/1 server answers on that port",
    };
  }
  if (bytes.length === 0) {
    return {
      fault: "unreachable",
      detail: "the port accepts connections and closes them at once",
    };
  }
  const start = JSON.stringify(text.slice(0, 24));
  return {
    fault: "not-etcd",
    detail: `the server there ${otherwise}: it begins with ${start}`,
  };
}

function failed(fault: RegistryFault, detail: string): Answer {
  return { kind: "failed", finding: { fault, detail } };
}
