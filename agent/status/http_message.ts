/**
 * Requests and answers of HTTP/1.1 as bytes (RFC 9112).
 *
 * @module
 */

/** A request without its body. */
export interface PlainRequest {
  readonly method: string;
  /** Without the query, as sent. */
  readonly path: string;
  /**
   * By names in lower case; the values of a name that comes several times are
   * joined with a comma.
   */
  readonly headers: ReadonlyMap<string, string>;
  /**
   * For which host the request is: as an absolute target says, else as `Host` says
   * (RFC 9112, section 3.2.2). `undefined` if neither does.
   */
  readonly host?: string;
  /** The addresses of both ends; absent on a unix socket. */
  readonly ends?: { readonly local: string; readonly remote: string };
}

/** What is sent back; a text in UTF-8. */
export interface PlainAnswer {
  readonly status: number;
  readonly body: string | Uint8Array;
  /** `text/plain; charset=utf-8` by default. */
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * A larger body is not copied behind its head: many callers that do not read may
 * wait for one that is kept for all.
 */
const COPIED_BYTES = 65_536;

/** RFC 9112, section 3; the target may be a path or an absolute URL. */
export function parseRequestHead(
  head: string,
  ends: PlainRequest["ends"],
): PlainRequest | undefined {
  const match =
    /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) (\S{1,4096}) HTTP\/1\.[0-9]\r?\n/
      .exec(head);
  if (match === null) return undefined;
  const [line, method, target] = match;
  const authority = /^https?:\/\/([^/?#]*)/i.exec(target!);
  const path = target!.slice(authority?.[0].length ?? 0).split(/[?#]/, 1)[0]!;
  const headers = parseHeaders(head.slice(line.length));
  const host = authority?.[1] ?? headers.get("host");
  return {
    method: method!,
    path: path === "" ? "/" : path,
    headers,
    ...host !== undefined && { host },
    ...ends !== undefined && { ends },
  };
}

/** Lines that are no header are read past. */
function parseHeaders(text: string): Map<string, string> {
  const headers = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    if (line === "") break;
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):(.*)$/.exec(line);
    if (match === null) continue;
    const name = match[1]!.toLowerCase();
    const value = match[2]!.trim();
    const former = headers.get(name);
    headers.set(name, former === undefined ? value : `${former}, ${value}`);
  }
  return headers;
}

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  421: "Misdirected Request",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

/** Without a length, the answer ends with the connection (RFC 9112, 6.3). */
export function encodeHead(
  status: number,
  headers: Readonly<Record<string, string>>,
): Uint8Array {
  const lines = [
    `HTTP/1.1 ${status} ${REASONS[status] ?? "Unknown"}`,
    ...Object.entries({ ...headers, connection: "close" }).map((
      [name, value],
    ) => `${name}: ${value}`),
  ];
  return new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`);
}

/** What is sent one after the other. */
export function encodeAnswer(
  { status, body, contentType, headers }: PlainAnswer,
  withBody: boolean,
): Uint8Array[] {
  const text = new TextEncoder();
  const bytes = typeof body === "string" ? text.encode(body) : body;
  const first = encodeHead(status, {
    "content-type": contentType ?? "text/plain; charset=utf-8",
    "content-length": String(bytes.length),
    ...headers,
  });
  if (!withBody) return [first];
  if (bytes.length > COPIED_BYTES) return [first, bytes];
  const whole = new Uint8Array(first.length + bytes.length);
  whole.set(first);
  whole.set(bytes, first.length);
  return [whole];
}
