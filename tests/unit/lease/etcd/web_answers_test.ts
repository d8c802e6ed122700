import { assertEquals } from "@std/assert";
import { parseEndpoint } from "../../../../lease/etcd/endpoint.ts";
import {
  askWeb,
  clockOf,
  parseHealth,
  parseVersion,
} from "../../../../lease/etcd/web_answers.ts";

Deno.test("version and health are read from etcd's answers", () => {
  assertEquals(
    parseVersion('{"etcdserver":"3.5.16","etcdcluster":"3.5.0"}'),
    { version: "3.5.16" },
  );
  assertEquals(parseHealth('{"health":"true","reason":""}'), {
    healthy: true,
    reason: "",
  });
  // 3.3 has a text and no reason.
  assertEquals(parseHealth('{"health":"false"}'), {
    healthy: false,
    reason: "",
  });
  assertEquals(parseHealth('{"health":"false","reason":"ALARM NOSPACE"}'), {
    healthy: false,
    reason: "ALARM NOSPACE",
  });
  assertEquals(parseVersion("<html>"), {});
  assertEquals(parseHealth("404 page not found"), {});
});

Deno.test("a clock is compared by when a question was sent and answered", () => {
  const date = "Thu, 01 Jan 2026 00:00:10 GMT";
  const tenMs = Date.UTC(2026, 0, 1, 0, 0, 10);
  assertEquals(
    clockOf({ date, sentMs: tenMs + 100, receivedMs: tenMs + 400 }),
    { aheadMs: { least: -400, most: 900 } },
  );
  assertEquals(
    clockOf({ date, sentMs: tenMs - 60_000, receivedMs: tenMs - 59_000 }),
    { aheadMs: { least: 59_000, most: 61_000 } },
  );
  assertEquals(clockOf({ date: undefined, sentMs: 0, receivedMs: 0 }), {});
  assertEquals(clockOf({ date: "soon", sentMs: 0, receivedMs: 0 }), {});
});

/** A member whose port gives this answer, and then is silent. */
async function answersOf(answer: string | undefined) {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections: Deno.Conn[] = [];
  const serving = (async () => {
    for await (const connection of listener) {
      connections.push(connection);
      await connection.read(new Uint8Array(1024));
      if (answer === undefined) continue;
      await connection.write(new TextEncoder().encode(answer));
    }
  })();
  const { port } = listener.addr as Deno.NetAddr;
  try {
    return await askWeb(
      parseEndpoint(`http://127.0.0.1:${port}`),
      {},
      AbortSignal.timeout(300),
    );
  } finally {
    listener.close();
    await serving.catch(() => {});
    for (const connection of connections) connection.close();
  }
}

Deno.test("a member without HTTP, or with endless answers, has no answer and holds nothing up", async () => {
  assertEquals(await answersOf(undefined), {});
  assertEquals(await answersOf("PRI * HTTP/2.0\r\n\r\n"), {});
  const endless = await answersOf(
    "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
  );
  assertEquals(endless, {});
});
