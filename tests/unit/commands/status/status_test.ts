import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { exitCodes } from "../../../../agent/exit_codes.ts";
import { instancePaths } from "../../../../agent/instance/instance.ts";
import { InstanceLock } from "../../../../agent/instance/instance_lock.ts";
import type { AgentState } from "../../../../agent/status/state.ts";
import { StatusServer } from "../../../../agent/status/status_server.ts";
import { socketRoutes } from "../../../../commands/agent/routes.ts";
import { dispatch } from "../../../../commands/dispatch.ts";
import { run } from "../../../../commands/status/status.ts";
import { commandTable } from "../../../../commands/table.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeCommandIo } from "../../../fakes/fake_command_io.ts";
import { bringUp, newAgentState } from "../../../support/agent_state.ts";
import { statusFaults, undescribed } from "../../../support/status_schema.ts";

/** Runs in a directory of its own, in which an agent may answer. */
async function inRunDir(
  body: (runDir: string) => Promise<void>,
  state?: AgentState,
): Promise<void> {
  const runDir = await Deno.makeTempDir();
  const paths = instancePaths(runDir, "/a");
  const server = state && StatusServer.start(paths, socketRoutes(state));
  try {
    await body(runDir);
  } finally {
    await server?.stop();
    await Deno.remove(runDir, { recursive: true });
  }
}

async function status(runDir: string, ...words: string[]) {
  const io = new FakeCommandIo([
    "status",
    `--run-dir=${runDir}`,
    "--etcd-prefix=/a",
    ...words,
  ]);
  return { code: await dispatch(io, commandTable), out: io.out, err: io.err };
}

Deno.test("an agent that hangs is named within a second, by status and by the checks", () =>
  inRunDir(async (runDir) => {
    const paths = instancePaths(runDir, "/a");
    using _lock = InstanceLock.acquire(paths, "/a", 4711);
    // It accepts and never answers.
    using _socket = Deno.listen({ transport: "unix", path: paths.socket });
    const begin = performance.now();
    const { code, err } = await status(runDir);
    // 0.8 s, and what a loaded machine adds.
    assert(performance.now() - begin < 3_000);
    assertEquals(code, exitCodes.notRunning);
    assertMatch(err, /process 4711 must answer on \S+ within 0\.8 s.*restart/);
    const live = await status(runDir, "--check=live");
    assertEquals(live.code, 1);
    assertStringIncludes(live.out, "not live: Cannot ask the agent: process");
  }));

Deno.test("a socket that no agent holds is no agent that hangs", () =>
  inRunDir(async (runDir) => {
    const { socket } = instancePaths(runDir, "/a");
    using _socket = Deno.listen({ transport: "unix", path: socket });
    const { code, err } = await status(runDir);
    assertEquals(code, exitCodes.notRunning);
    assertStringIncludes(err, "nothing answers");
  }));

Deno.test("status --json fits its schema, before the network is up and after", async () => {
  const state = newAgentState();
  await inRunDir(async (runDir) => {
    for (const code of [exitCodes.notReady, exitCodes.ok]) {
      const said = await status(runDir, "--json");
      assertEquals(said.code, code);
      assertEquals(statusFaults(JSON.parse(said.out)), []);
      assertEquals(undescribed(JSON.parse(said.out)), []);
      bringUp(state).raise("data-path.down", "it is gone");
    }
  }, state);
});

Deno.test("--check prints one line, and its code is not that of status", () =>
  inRunDir(async (runDir) => {
    assertEquals(await status(runDir, "--check=ready"), {
      code: 1,
      out: "not ready: starting\n",
      err: "",
    });
    assertEquals((await status(runDir, "--check=nagios")).code, 2);
    assertEquals((await status(runDir)).code, exitCodes.notReady);
  }, newAgentState()));

Deno.test("--wait ends at once when the agent is ready, and at its limit with the usual code", async () => {
  await inRunDir(async (runDir) => {
    const { code, out } = await status(runDir, "--wait");
    assertEquals(code, exitCodes.ok);
    assertStringIncludes(out, "no warnings\n");
  }, bringUp(newAgentState()));
  await inRunDir(async (runDir) => {
    const { code } = await status(runDir, "--wait=0s");
    assertEquals(code, exitCodes.notRunning);
  });
});

Deno.test("--web prints the address of the page, or how to get one", async () => {
  const state = newAgentState();
  await inRunDir(async (runDir) => {
    const without = await status(runDir, "--web");
    assertEquals([without.code, without.out], [1, ""]);
    assertMatch(without.err, /none is set.*--metrics-port=PORT/);
    state.set({ web: "http://127.0.0.1:9285/" });
    assertEquals(await status(runDir, "--web"), {
      code: exitCodes.ok,
      out: "http://127.0.0.1:9285/\n",
      err: "",
    });
    state.raise("metrics.not-served", "port 9285 is in use");
    const taken = await status(runDir, "--web");
    assertEquals(taken.code, 1);
    assertStringIncludes(taken.err, "port 9285 is in use");
  }, state);
});

Deno.test("flags that say different things are refused", () =>
  inRunDir(async (runDir) => {
    for (
      const words of [
        ["--watch", "--wait"],
        ["--watch", "--check=live"],
        ["--check=live", "--json"],
        ["--web", "--json"],
        ["--web", "--watch"],
        ["--check=healthy"],
        ["--wait=soon"],
        ["--wait", "5m"],
      ]
    ) {
      assertEquals((await status(runDir, ...words)).code, 2, words.join(" "));
    }
  }));

/** The screens of `--watch`, until the given number of pauses is over. */
async function watched(runDir: string, pauses: number, ...words: string[]) {
  const io = new FakeCommandIo([
    `--run-dir=${runDir}`,
    "--etcd-prefix=/a",
    "--watch",
    ...words,
  ]);
  return await watch(io, pauses);
}

async function watch(io: FakeCommandIo, pauses: number) {
  const outs: string[] = [];
  const context = io.as("status");
  const clock = new FakeClock();
  const stopped = new Error("stopped");
  const running = run({
    ...context,
    stdout: (text) => outs.push(text) > 0,
  }, {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    sleep: () => pauses-- > 0 ? Promise.resolve() : Promise.reject(stopped),
  });
  assertEquals(await assertRejects(() => running), stopped);
  return outs;
}

Deno.test("--watch shows the state again and again, on a terminal in place of the last one", () =>
  inRunDir(async (runDir) => {
    const plain = await watched(runDir, 2);
    assertEquals(plain.length, 3);
    for (const text of plain) assertMatch(text, /^network .*no warnings\n\n$/s);
    const json = await watched(runDir, 1, "--json");
    for (const text of json) assertEquals(JSON.parse(text).pid, 4711);
    const io = new FakeCommandIo([
      `--run-dir=${runDir}`,
      "--etcd-prefix=/a",
      "--watch",
    ]);
    io.screen = { columns: 80, rows: 24, colors: false };
    for (const text of await watch(io, 1)) {
      assert(text.startsWith("\x1b[2J\x1b[Hnetwork"), text);
    }
  }, bringUp(newAgentState())));

Deno.test("--watch goes on while no agent answers, and ends when its reader has gone", () =>
  inRunDir(async (runDir) => {
    const texts = await watched(runDir, 1);
    assertEquals(texts.length, 2);
    for (const text of texts) assertStringIncludes(text, "nothing answers");
    const io = new FakeCommandIo([
      "status",
      "--watch",
      `--run-dir=${runDir}`,
      "--etcd-prefix=/a",
    ]);
    io.hasReader = false;
    assertEquals(await dispatch(io, commandTable), exitCodes.ok);
  }));
