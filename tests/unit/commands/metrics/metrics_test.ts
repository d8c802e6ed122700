import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { exitCodes } from "../../../../agent/exit_codes.ts";
import { instancePaths } from "../../../../agent/instance/instance.ts";
import { InstanceLock } from "../../../../agent/instance/instance_lock.ts";
import { StatusServer } from "../../../../agent/status/status_server.ts";
import { socketRoutes } from "../../../../commands/agent/routes.ts";
import { dispatch } from "../../../../commands/dispatch.ts";
import { commandTable } from "../../../../commands/table.ts";
import { FakeCommandIo } from "../../../fakes/fake_command_io.ts";
import { bringUp, newAgentState } from "../../../support/agent_state.ts";
import { newMetrics } from "../../../support/metrics_text.ts";

/** Runs the command beside an agent, in a directory of its own. */
async function besideAgent(
  body: (
    run: (...words: string[]) => Promise<{ code: number; io: FakeCommandIo }>,
    directory: string,
  ) => Promise<void>,
  runs = true,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  const paths = instancePaths(directory, "/a");
  const server = runs
    ? StatusServer.start(
      paths,
      socketRoutes(bringUp(newAgentState()), newMetrics()),
    )
    : undefined;
  try {
    await body(async (...words) => {
      const io = new FakeCommandIo([
        "metrics",
        `--run-dir=${directory}`,
        "--etcd-prefix=/a",
        ...words,
      ]);
      return { code: await dispatch(io, commandTable), io };
    }, directory);
  } finally {
    await server?.stop();
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("the metrics are printed, without those of the process", () =>
  besideAgent(async (run) => {
    const { code, io } = await run();
    assertEquals(code, exitCodes.ok);
    assertStringIncludes(io.out, "\nloden_ready 1\n");
    assert(!io.out.includes("process_"));
  }));

Deno.test("a file is written in one step for every user to read, and its time tells that it was", () =>
  besideAgent(async (run, directory) => {
    const file = `${directory}/loden.prom`;
    assertEquals((await run(`--output=${file}`)).code, exitCodes.ok);
    const text = await Deno.readTextFile(file);
    assertStringIncludes(text, "\nloden_ready 1\n");
    assertEquals(Deno.statSync(file).mode! & 0o777, 0o644);
    const old = new Date("2026-01-01T00:00:00Z");
    await Deno.utime(file, old, old);
    const { io } = await run(`--output=${file}`);
    assertEquals(io.out, "");
    // The text is the same.
    assertEquals(await Deno.readTextFile(file), text);
    assert(Deno.statSync(file).mtime! > old);
    const left = [...Deno.readDirSync(directory)].map(({ name }) => name);
    assertEquals(left.sort(), ["a.sock", "loden.prom"]);
  }));

Deno.test("without an agent, and with one that hangs, the file stays as it is", async () => {
  await besideAgent(async (run, directory) => {
    const file = `${directory}/loden.prom`;
    await Deno.writeTextFile(file, "old");
    assertEquals(
      (await run(`--output=${file}`)).code,
      exitCodes.notRunning,
    );
    using _lock = InstanceLock.acquire(
      instancePaths(directory, "/a"),
      "/a",
      4711,
    );
    using _socket = Deno.listen({
      transport: "unix",
      path: `${directory}/a.sock`,
    });
    const { code, io } = await run(`--output=${file}`);
    assertEquals(code, exitCodes.notRunning);
    assertStringIncludes(io.err, "process 4711 must answer");
    assertEquals(await Deno.readTextFile(file), "old");
  }, false);
});
