import { assertEquals, assertRejects } from "@std/assert";
import { Daemon } from "../../rig/daemon.ts";
import { ProcessEndedError, RigTimeoutError } from "../../rig/errors.ts";

async function withDaemon(
  script: string,
  test: (daemon: Daemon) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await using daemon = new Daemon({
      name: "the script",
      command: ["sh", "-c", script],
      logFile: `${directory}/log`,
    });
    await test(daemon);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("the log has both outputs", () =>
  withDaemon("echo out; echo err >&2; sleep 10", async (daemon) => {
    await daemon.untilLogged(/out/, 5_000);
    await daemon.untilLogged(/err/, 5_000);
  }));

Deno.test("waiting for what a process never says ends when it does, with its last lines", () =>
  withDaemon("echo no luck; exit 7", async (daemon) => {
    const error = await assertRejects(
      () => daemon.untilLogged(/ready/, 5_000),
      ProcessEndedError,
      "no luck",
    );
    assertEquals(error.exitCode, 7);
  }));

Deno.test("waiting for a process that says nothing ends in time", () =>
  withDaemon("sleep 10", async (daemon) => {
    await assertRejects(() => daemon.untilLogged(/ready/, 50), RigTimeoutError);
  }));

Deno.test("waiting ends when it is aborted", () =>
  withDaemon("sleep 10", async (daemon) => {
    await assertRejects(
      () => daemon.untilLogged(/ready/, 5_000, AbortSignal.timeout(30)),
      DOMException,
    );
  }));

Deno.test("a process that ignores SIGTERM is killed", () =>
  withDaemon(
    "trap '' TERM; echo up; while :; do sleep 1; done",
    async (daemon) => {
      await daemon.untilLogged(/up/, 5_000);
      assertEquals(await daemon.stop(100), 128 + 9);
    },
  ));

Deno.test("a process that ended is not signalled", () =>
  withDaemon("exit 0", async (daemon) => {
    assertEquals(await daemon.ended(5_000), 0);
    daemon.kill("SIGTERM");
    assertEquals(await daemon.stop(), 0);
  }));
