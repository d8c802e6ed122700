import { assertEquals } from "@std/assert";
import {
  HealthServer,
  SECURITY_HEADERS,
} from "../../../../agent/status/health_server.ts";
import type { ListenerPlan } from "../../../../agent/status/listener_plan.ts";
import type { Handler } from "../../../../agent/status/request_server.ts";
import type { Routes } from "../../../../agent/status/routes.ts";
import { newAgentState } from "../../../support/agent_state.ts";
import { freePort } from "../../../support/free_port.ts";

const ROUTES: Routes = new Map<string, Handler>([
  ["/metrics", () => Promise.resolve({ status: 200, body: "loden_ready 1\n" })],
  ["/page", () => ({
    status: 200,
    body: new TextEncoder().encode("page"),
    headers: { "content-security-policy": "default-src 'self'" },
  })],
]);

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Sends a request line; without a host, no `Host`. */
type Ask = (line: string, host?: string) => Promise<Answer>;

/** Serves on 127.0.0.1, and calls from 127.0.0.1. */
async function serve(
  at: Pick<ListenerPlan, "healthAt" | "routesAt">,
  test: (ask: Ask) => Promise<void>,
): Promise<void> {
  const address = { hostname: "127.0.0.1", port: freePort() };
  const server = HealthServer.start({ ...address, ...at }, {
    state: newAgentState(),
    routes: ROUTES,
    hostname: () => "node1",
  });
  try {
    await test(async (line, host) => {
      using conn = await Deno.connect(address);
      const head = `${line} HTTP/1.1\r\n` +
        (host === undefined ? "\r\n" : `Host: ${host}\r\n\r\n`);
      await conn.write(new TextEncoder().encode(head));
      const text = await new Response(conn.readable).text();
      const [first, ...fields] = text.split("\r\n\r\n", 1)[0]!.split("\r\n");
      return {
        status: Number(first!.split(" ")[1]),
        headers: Object.fromEntries(
          fields.map((field) => field.split(": ", 2)),
        ),
        body: text.slice(text.indexOf("\r\n\r\n") + 4),
      };
    });
  } finally {
    await server.stop();
  }
}

const BOTH = { healthAt: "0.0.0.0", routesAt: "127.0.0.1" };

Deno.test("a route answers GET and HEAD for this host's names, with the headers that keep a browser safe", () =>
  serve(BOTH, async (ask) => {
    const answer = await ask("GET /metrics?x=1", "127.0.0.1:9285");
    assertEquals([answer.status, answer.body], [200, "loden_ready 1\n"]);
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
      assertEquals(answer.headers[name], value);
    }
    assertEquals((await ask("GET /metrics", "node1")).status, 200);
    const head = await ask("HEAD /page", "localhost");
    assertEquals([head.status, head.body], [200, ""]);
    assertEquals(
      head.headers["content-security-policy"],
      "default-src 'self'",
    );
    const post = await ask("POST /metrics", "localhost");
    assertEquals([post.status, post.headers.allow], [405, "GET, HEAD"]);
    assertEquals((await ask("GET constructor", "localhost")).status, 404);
  }));

Deno.test("a route is not answered for another name, and health for every name", () =>
  serve(BOTH, async (ask) => {
    for (const host of ["evil.example", "localhost, evil.example", undefined]) {
      assertEquals((await ask("GET /metrics", host)).status, 421);
      assertEquals((await ask("POST /healthz", host)).status, 200);
    }
    const absolute = "GET http://evil.example/metrics";
    assertEquals((await ask(absolute, "localhost")).status, 421);
  }));

Deno.test("each is answered at its address only, and says which", async () => {
  await serve({ healthAt: "0.0.0.0", routesAt: "192.0.2.1" }, async (ask) => {
    const { status, body } = await ask("GET /metrics", "localhost");
    assertEquals(status, 403);
    assertEquals(
      body,
      "/metrics is served on 192.0.2.1 only: see --metrics-ip\n",
    );
  });
  await serve({ healthAt: "192.0.2.1", routesAt: "0.0.0.0" }, async (ask) => {
    assertEquals((await ask("GET /healthz", "localhost")).status, 404);
    assertEquals((await ask("GET /page", "localhost")).body, "page");
  });
  await serve({ healthAt: "0.0.0.0" }, async (ask) => {
    assertEquals((await ask("GET /metrics", "localhost")).status, 404);
  });
  await serve({ routesAt: "127.0.0.1" }, async (ask) => {
    assertEquals((await ask("GET /healthz", "localhost")).status, 404);
  });
});
