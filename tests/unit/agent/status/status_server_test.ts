import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  AgentAccessError,
  AgentAnswerError,
  AgentNotRunningError,
  RunDirectoryError,
} from "../../../../agent/errors.ts";
import {
  type InstancePaths,
  instancePaths,
} from "../../../../agent/instance/instance.ts";
import { AgentState } from "../../../../agent/status/state.ts";
import {
  connectionError,
  fetchStatus,
} from "../../../../agent/status/status_client.ts";
import { StatusServer } from "../../../../agent/status/status_server.ts";
import { socketRoutes } from "../../../../commands/agent/routes.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";

const noSignal = new AbortController().signal;

function agentState(): AgentState {
  return new AgentState({
    version: "0.1.0",
    pid: 1,
    instance: "a",
    etcdPrefix: "/a",
    etcdEndpoints: ["http://127.0.0.1:2379"],
  }, new FakeClock());
}

async function inRunDir(test: (paths: InstancePaths) => Promise<void>) {
  const runDir = await Deno.makeTempDir();
  try {
    await test(instancePaths(runDir, "/a"));
  } finally {
    await Deno.remove(runDir, { recursive: true });
  }
}

Deno.test("status goes over a socket that only its owner may open", () =>
  inRunDir(async (paths) => {
    const state = agentState();
    const server = StatusServer.start(paths, socketRoutes(state));
    try {
      assertEquals(Deno.statSync(paths.socket).mode! & 0o777, 0o600);
      state.enter("reading-config");
      state.waitFor("config", "etcd is away");
      const status = await fetchStatus(paths.socket, noSignal);
      assertEquals(status, state.snapshot());
      assertEquals(status.waitingFor, "etcd is away");
    } finally {
      await server.stop();
    }
    assertThrows(() => Deno.statSync(paths.socket), Deno.errors.NotFound);
  }));

Deno.test("other paths and methods are refused", () =>
  inRunDir(async (paths) => {
    const state = agentState();
    const server = StatusServer.start(paths, socketRoutes(state));
    using client = Deno.createHttpClient({
      proxy: { transport: "unix", path: paths.socket },
    });
    const codeOf = async (path: string, method: string) => {
      const response = await fetch(`http://loden${path}`, { client, method });
      await response.body?.cancel();
      return response.status;
    };
    assertEquals(await codeOf("/", "GET"), 404);
    assertEquals(await codeOf("/status", "POST"), 405);
    assertEquals(await codeOf("/status", "HEAD"), 200);
    await server.stop();
  }));

Deno.test("the socket of a dead agent is replaced", () =>
  inRunDir(async (paths) => {
    // What a killed process leaves: a socket file without a listener.
    const listener = Deno.listen({
      transport: "unix",
      path: `${paths.socket}.x`,
    });
    await Deno.rename(`${paths.socket}.x`, paths.socket);
    listener.close();
    await Deno.stat(paths.socket);
    await assertRejects(
      () => fetchStatus(paths.socket, noSignal),
      AgentNotRunningError,
      paths.socket,
    );
    const state = agentState();
    const server = StatusServer.start(paths, socketRoutes(state));
    await fetchStatus(paths.socket, noSignal);
    await server.stop();
  }));

Deno.test("a file in the socket's place is not deleted", () =>
  inRunDir(async (paths) => {
    await Deno.writeTextFile(paths.socket, "precious");
    const state = agentState();
    assertThrows(
      () => StatusServer.start(paths, socketRoutes(state)),
      RunDirectoryError,
      "not a socket",
    );
    assertEquals(await Deno.readTextFile(paths.socket), "precious");
  }));

Deno.test("an answer that is no status is refused", () =>
  inRunDir(async (paths) => {
    const answers = ["not json", "null", '{"schema":2}'];
    const server = Deno.serve(
      { path: paths.socket, onListen: () => {} },
      () => new Response(answers.shift()),
    );
    while (answers.length > 0) {
      await assertRejects(
        () => fetchStatus(paths.socket, noSignal),
        AgentAnswerError,
      );
    }
    await server.shutdown();
  }));

Deno.test("an agent that does not answer is given up on", () =>
  inRunDir(async (paths) => {
    using _silent = Deno.listen({ transport: "unix", path: paths.socket });
    await assertRejects(
      () => fetchStatus(paths.socket, AbortSignal.timeout(50)),
      DOMException,
    );
  }));

Deno.test("a user without permission gets that error, not that no agent answers", () => {
  // A test that runs as root is never refused.
  const text = "error sending request for url (http://loden/status): client " +
    "error (Connect): Permission denied (os error 13)";
  for (
    const denied of [
      // As Deno 2.9.6 words it, and as 2.7.11 does.
      new TypeError("fetch failed", { cause: new Error(text) }),
      new TypeError(text),
    ]
  ) {
    assert(connectionError("/run/a.sock", denied) instanceof AgentAccessError);
  }
  assert(
    connectionError("/run/a.sock", new TypeError("x")) instanceof
      AgentNotRunningError,
  );
});
