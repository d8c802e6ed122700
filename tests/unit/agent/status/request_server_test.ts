import { assert, assertEquals, assertMatch } from "@std/assert";
import { delay } from "@std/async/delay";
import fc from "fast-check";
import type {
  PlainAnswer,
  PlainRequest,
} from "../../../../agent/status/http_message.ts";
import {
  REQUEST_LIMITS,
  type RequestLimits,
  RequestServer,
  type StreamAnswer,
} from "../../../../agent/status/request_server.ts";
import { AF_INET, socketAddress } from "../../../../linux/inet_socket.ts";
import { addressOf, libc } from "../../../../linux/libc.ts";
import { parseIpv4 } from "../../../../net/ipv4.ts";
import { FUZZ_CASES } from "../../../support/fuzz_cases.ts";

/** A server on a free port, and what it was asked. */
class World implements AsyncDisposable {
  readonly asked: PlainRequest[] = [];
  readonly port: number;
  readonly server: RequestServer;

  constructor(
    limits: Partial<RequestLimits> = {},
    answer: (request: PlainRequest) => PlainAnswer | StreamAnswer = () => ({
      status: 200,
      body: "yes",
    }),
  ) {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = listener.addr.port;
    this.server = new RequestServer(listener, (request) => {
      this.asked.push(request);
      return answer(request);
    }, { ...REQUEST_LIMITS, ...limits });
  }

  connect(): Promise<Deno.TcpConn> {
    return Deno.connect({ hostname: "127.0.0.1", port: this.port });
  }

  /** Sends these bytes, and says what came until the end. */
  async send(bytes: Uint8Array | string, ends = true): Promise<string> {
    using conn = await this.connect();
    const all = typeof bytes === "string"
      ? new TextEncoder().encode(bytes)
      : bytes;
    for (let sent = 0; sent < all.length;) {
      sent += await conn.write(all.subarray(sent));
    }
    if (ends) await conn.closeWrite();
    return await readAll(conn);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop();
  }
}

async function readAll(conn: Deno.Conn): Promise<string> {
  const chunk = new Uint8Array(4_096);
  let text = "";
  try {
    for (;;) {
      const length = await conn.read(chunk);
      if (length === null) return text;
      text += new TextDecoder().decode(chunk.subarray(0, length));
    }
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionReset) return `${text}(reset)`;
    throw error;
  }
}

Deno.test("a request is answered whole, with what its head says", async () => {
  await using world = new World();
  const answer = await world.send(
    "POST /healthz?full HTTP/1.1\r\nHost: [\r\nContent-Length: 4\r\n\r\nbody",
    false,
  );
  assertEquals(world.asked, [{
    method: "POST",
    path: "/healthz",
    headers: new Map([["host", "["], ["content-length", "4"]]),
    host: "[",
    ends: { local: "127.0.0.1", remote: "127.0.0.1" },
  }]);
  assertEquals(
    answer,
    "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\n" +
      "content-length: 3\r\nconnection: close\r\n\r\nyes",
  );
  assertMatch(await world.send("HEAD / HTTP/1.0\n\n"), /close\r\n\r\n$/);
  await world.send(
    "GET http://loden/status HTTP/1.1\nHost: localhost\nHost: b\n: c\n\n",
  );
  const { path, host, headers } = world.asked.at(-1)!;
  assertEquals([path, host], ["/status", "loden"]);
  assertEquals([...headers], [["host", "localhost, b"]]);
});

const line = fc.tuple(
  fc.constantFrom("GET", "POST", "G\u0000T", "", "get get"),
  fc.oneof(
    fc.constantFrom("/healthz", "*", "http://[", "//", "/%", "?", "\ud800"),
    fc.string({ unit: "binary" }),
  ),
  fc.constantFrom("HTTP/1.1", "HTTP/1.0", "HTTP/2", "", "HTTP/1.1 "),
).map((words) => words.join(" "));
const header = fc.tuple(
  fc.constantFrom("Host", "Content-Length", "Transfer-Encoding", "Upgrade", ""),
  fc.oneof(
    fc.constantFrom("[", "-1", "chunked", "1e99", "h2c", "a:b:c"),
    fc.string({ unit: "binary" }),
  ),
).map((words) => words.join(": "));
const request = fc.tuple(line, fc.array(header, { maxLength: 4 }), fc.string())
  .map(([first, headers, body]) =>
    new TextEncoder().encode(
      [first, ...headers, "", body].join("\r\n"),
    )
  );

Deno.test("no bytes make the server throw: each gets an answer, and the next caller too", async () => {
  const uncaught: unknown[] = [];
  const onUncaught = (event: ErrorEvent | PromiseRejectionEvent) => {
    event.preventDefault();
    uncaught.push(event);
  };
  addEventListener("error", onUncaught);
  addEventListener("unhandledrejection", onUncaught);
  try {
    await using world = new World();
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(request, fc.uint8Array({ maxLength: 300 })),
        async (bytes) => {
          const answer = await world.send(bytes);
          assertMatch(answer, /^HTTP\/1\.1 (200|400) /);
        },
      ),
      { numRuns: FUZZ_CASES },
    );
    assertMatch(await world.send("GET / HTTP/1.1\r\n\r\n"), /yes$/);
  } finally {
    removeEventListener("error", onUncaught);
    removeEventListener("unhandledrejection", onUncaught);
  }
  assertEquals(uncaught, []);
});

Deno.test("headers that are too long are refused, however they come", async () => {
  await using world = new World({ headerBytes: 100 });
  const long = `GET / HTTP/1.1\r\nX: ${"x".repeat(200)}`;
  assertMatch(await world.send(`${long}\r\n\r\n`), /^HTTP\/1\.1 431 /);
  assertMatch(await world.send(long, false), /^HTTP\/1\.1 431 /);
  using conn = await world.connect();
  const byte = new Uint8Array(1).fill(65);
  for (let sent = 0; sent < 101; sent++) await conn.write(byte);
  assertMatch(await readAll(conn), /^HTTP\/1\.1 431 /);
  assertEquals(world.asked, []);
});

Deno.test("a caller that sends nothing, or a byte now and then, is ended in time", async () => {
  await using world = new World({ requestMs: 200 });
  const begin = performance.now();
  assertMatch(await world.send("", false), /^HTTP\/1\.1 408 /);
  using slow = await world.connect();
  const answer = readAll(slow);
  const dripping = (async () => {
    for (let sent = 0; sent < 20; sent++) {
      await slow.write(new Uint8Array(1).fill(65)).catch(() => {});
      await delay(50);
    }
  })();
  assertMatch(await answer, /^HTTP\/1\.1 408 /);
  assert(performance.now() - begin < 3_000);
  await dripping;
});

Deno.test("a caller that does not read its answer is ended in time", async () => {
  const body = "x".repeat(30_000_000);
  await using world = new World(
    { answerMs: 200 },
    () => ({ status: 200, body }),
  );
  using conn = await world.connect();
  await conn.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
  for (let tries = 0; world.server.connections === 0; tries++) {
    assert(tries < 100);
    await delay(10);
  }
  for (let tries = 0; world.server.connections > 0; tries++) {
    assert(tries < 300, "it is still there");
    await delay(10);
  }
});

Deno.test("of too many connections the oldest ends, and a new caller is answered", async () => {
  await using world = new World({ connections: 8 });
  using idle = new DisposableStack();
  const conns: Deno.TcpConn[] = [];
  for (let number = 0; number < 50; number++) {
    conns.push(idle.use(await world.connect()));
    assertMatch(await world.send("GET / HTTP/1.1\r\n\r\n"), /yes$/);
    assert(world.server.connections <= 8);
  }
  assertEquals(await readAll(conns[0]!), "");
});

Deno.test("callers that come at once are answered in turn, however many they are", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const request = new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n");
  using callers = new DisposableStack();
  const conns: Deno.TcpConn[] = [];
  // All wait before the server is there.
  for (let number = 0; number < 100; number++) {
    const { port } = listener.addr;
    conns.push(
      callers.use(await Deno.connect({ hostname: "127.0.0.1", port })),
    );
    await conns[number]!.write(request);
  }
  const server = new RequestServer(
    listener,
    () => ({ status: 200, body: "yes" }),
    { ...REQUEST_LIMITS, connections: 40 },
  );
  const answers = await Promise.all(conns.map(async (conn) => {
    const answer = await readAll(conn);
    await conn.closeWrite().catch(() => {});
    return answer;
  }));
  const answered = answers.filter((answer) => answer.endsWith("yes"));
  await server.stop();
  assertEquals(answered.length, conns.length);
});

Deno.test("a large body that is kept for many callers is sent without a copy", async () => {
  const body = new Uint8Array(1_000_000).fill(0x61);
  const written: Uint8Array[] = [];
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accept = listener.accept.bind(listener);
  listener.accept = async () => {
    const conn = await accept();
    const write = conn.write.bind(conn);
    conn.write = (bytes) => {
      written.push(bytes);
      return write(bytes);
    };
    return conn;
  };
  const server = new RequestServer(listener, () => ({ status: 200, body }));
  try {
    using conn = await Deno.connect({
      hostname: "127.0.0.1",
      port: listener.addr.port,
    });
    await conn.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
    await conn.closeWrite();
    const answer = await readAll(conn);
    assertEquals(answer.split("\r\n\r\n")[1]?.length, body.length);
  } finally {
    await server.stop();
  }
  const [head, ...rest] = written;
  assert(head!.length < 1_000, "the head is sent first");
  assert(rest.every(({ buffer }) => buffer === body.buffer));
});

Deno.test("a caller that resets its connection while it waits ends nothing", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  resetConnections(listener.addr.port, 20);
  await assertServes(listener);
});

Deno.test("a server that cannot accept for a while goes on afterwards", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accept = listener.accept.bind(listener);
  let failures = 0;
  listener.accept = () =>
    failures++ === 0
      ? Promise.reject(new Error("Too many open files (os error 24)"))
      : accept();
  await assertServes(listener);
});

/** A server on the listener answers. */
async function assertServes(
  listener: Deno.TcpListener,
): Promise<void> {
  const server = new RequestServer(listener, () => ({
    status: 200,
    body: "yes",
  }));
  try {
    using conn = await Deno.connect({
      hostname: "127.0.0.1",
      port: listener.addr.port,
    });
    await conn.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
    await conn.closeWrite();
    assertMatch(await readAll(conn), /yes$/);
  } finally {
    await server.stop();
  }
}

/** Connections that are reset before they are accepted: SO_LINGER, zero seconds. */
function resetConnections(port: number, count: number): void {
  const [SOL_SOCKET, SO_LINGER, SOCK_STREAM] = [1, 13, 1];
  const linger = new Int32Array([1, 0]);
  const address = socketAddress(parseIpv4("127.0.0.1")!, port);
  for (let number = 0; number < count; number++) {
    const descriptor = libc().socket(AF_INET, SOCK_STREAM, 0);
    const result = libc().connect(
      descriptor,
      addressOf(address),
      address.length,
    );
    assertEquals(result, 0);
    libc().setsockopt(
      descriptor,
      SOL_SOCKET,
      SO_LINGER,
      addressOf(linger),
      linger.byteLength,
    );
    libc().close(descriptor);
  }
}

Deno.test("an answer that cannot be made is 500, and the server goes on", async () => {
  await using world = new World({}, ({ path }) => {
    if (path === "/bad") throw new Error("a defect");
    return { status: 200, body: "yes" };
  });
  assertMatch(
    await world.send("GET /bad HTTP/1.1\r\n\r\n"),
    /^HTTP\/1\.1 500 /,
  );
  assertMatch(await world.send("GET / HTTP/1.1\r\n\r\n"), /yes$/);
});

Deno.test("a stop ends connections that wait", async () => {
  const world = new World();
  using conn = await world.connect();
  await delay(50);
  await world.server.stop();
  assertMatch(await readAll(conn), /^(\(reset\))?$/);
});

/** Lines that a test gives, one by one. */
class Lines {
  readonly #waiting: ((line: string | undefined) => void)[] = [];
  readonly #lines: (string | undefined)[] = [];
  opened = 0;
  closed = 0;

  give(line: string | undefined): void {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(line);
    else this.#lines.push(line);
  }

  readonly answer: StreamAnswer = {
    contentType: "application/x-ndjson",
    open: () => {
      this.opened++;
      return {
        next: () =>
          this.#lines.length > 0
            ? Promise.resolve(this.#lines.shift())
            : new Promise((resolve) => this.#waiting.push(resolve)),
        [Symbol.dispose]: () => this.closed++,
      };
    },
  };

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await delay(2);
  }
}

const STREAM_REQUEST = new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n");

Deno.test("a stream is sent as it comes, without a length, until its end", async () => {
  const lines = new Lines();
  await using world = new World({}, () => lines.answer);
  const answer = world.send(STREAM_REQUEST, false);
  await lines.until(() => lines.opened === 1);
  lines.give("a\n");
  lines.give("b\n");
  lines.give(undefined);
  assertEquals(
    await answer,
    "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n" +
      "connection: close\r\n\r\na\nb\n",
  );
  assertEquals(lines.closed, 1);
});

Deno.test("a stream ends when its caller has gone, also if nothing is sent", async () => {
  const lines = new Lines();
  await using world = new World({}, () => lines.answer);
  const conn = await world.connect();
  await conn.write(STREAM_REQUEST);
  await lines.until(() => lines.opened === 1);
  conn.close();
  await lines.until(() => lines.closed === 1);
});

Deno.test("a caller that does not read is waited for, and asked for nothing more", async () => {
  const lines = new Lines();
  const world = new World({}, () => lines.answer);
  using conn = await world.connect();
  await conn.write(STREAM_REQUEST);
  const line = `${"x".repeat(1 << 20)}\n`;
  for (let count = 0; count < 64; count++) lines.give(line);
  await lines.until(() => lines.opened === 1);
  // Others are answered meanwhile.
  await delay(50);
  assertEquals(lines.closed, 0);
  await world.server.stop();
  assertEquals(lines.closed, 1);
});

Deno.test("streams do not take the place of requests, and are limited themselves", async () => {
  const lines = new Lines();
  await using world = new World(
    { connections: 2, streams: 2 },
    ({ path }) =>
      path === "/stream" ? lines.answer : { status: 200, body: "yes" },
  );
  const request = "GET /stream HTTP/1.1\r\n\r\n";
  const streams = [world.send(request, false), world.send(request, false)];
  await lines.until(() => lines.opened === 2);
  for (let count = 0; count < 5; count++) {
    assertMatch(await world.send("GET / HTTP/1.1\r\n\r\n"), /yes$/);
  }
  assertMatch(await world.send(request), /^HTTP\/1\.1 503 /);
  assertEquals(lines.closed, 0);
  lines.give(undefined);
  lines.give(undefined);
  await Promise.all(streams);
  await lines.until(() => lines.closed === 2);
  lines.give(undefined);
  assertMatch(await world.send(request, false), /^HTTP\/1\.1 200 /);
});

Deno.test("a stream that cannot be opened is a failure of the server", async () => {
  await using world = new World({}, () => ({
    contentType: "application/x-ndjson",
    open: () => {
      throw new Error("no lines");
    },
  }));
  assertMatch(
    await world.send("GET / HTTP/1.1\r\n\r\n"),
    /^HTTP\/1\.1 500 /,
  );
});

Deno.test("the head of a stream can be asked for", async () => {
  const lines = new Lines();
  await using world = new World({}, () => lines.answer);
  const answer = await world.send("HEAD / HTTP/1.1\r\n\r\n");
  assertMatch(
    answer,
    /^HTTP\/1\.1 200 OK\r\ncontent-type: application\/x-ndjson/,
  );
  assertEquals(lines.opened, 0);
});
