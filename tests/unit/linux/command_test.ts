import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { delay } from "@std/async/delay";
import {
  CommandMissingError,
  HostCommandRunner,
  letGo,
} from "../../../linux/command.ts";

const runner = new HostCommandRunner();
const never = new AbortController().signal;

Deno.test("a program's input, output, errors and exit code come through", async () => {
  assertEquals(
    await runner.run("sh", [
      "-c",
      `cat; echo "$1" >&2; exit 7`,
      "sh",
      "two words",
    ], {
      stdin: "in",
      signal: never,
    }),
    { code: 7, stdout: "in", stderr: "two words\n" },
  );
});

Deno.test("a program without input does not wait for any", async () => {
  const { stdout } = await runner.run("cat", [], { signal: never });
  assertEquals(stdout, "");
});

Deno.test("a program that reads nothing of a long input is no error", async () => {
  const { code } = await runner.run("true", [], {
    stdin: "x".repeat(1_000_000),
    signal: never,
  });
  assertEquals(code, 0);
});

Deno.test("a program that is not there is named", async () => {
  const error = await assertRejects(
    () => runner.run("loden-no-such-program", [], { signal: never }),
    CommandMissingError,
    "Cannot run loden-no-such-program",
  );
  assertEquals(error.code, "command.missing");
});

Deno.test("programs of the system directories are found whatever PATH says", async () => {
  const script = `printf %s "$PATH:$LC_ALL"`;
  const { stdout } = await runner.run("sh", ["-c", script], { signal: never });
  assert(stdout.endsWith(":/usr/local/sbin:/usr/sbin:/sbin:C"), stdout);
});

Deno.test("a program has a fixed environment: nothing of the agent's own reaches it", async () => {
  Deno.env.set("FLANNELD_ETCD_PASSWORD", "secret");
  try {
    const { stdout } = await runner.run("env", [], { signal: never });
    const names = stdout.trim().split("\n").map((line) => line.split("=")[0]);
    assertEquals(names.sort(), ["LC_ALL", "PATH"]);
  } finally {
    Deno.env.delete("FLANNELD_ETCD_PASSWORD");
  }
});

Deno.test("an abort ends the program and rejects with its reason", async () => {
  const controller = new AbortController();
  const begin = performance.now();
  const run = runner.run("sleep", ["60"], { signal: controller.signal });
  controller.abort(new Error("stop"));
  await assertRejects(() => run, Error, "stop");
  assert(performance.now() - begin < 5_000);
  await assertRejects(
    () => runner.run("true", [], { signal: controller.signal }),
    Error,
    "stop",
  );
});

Deno.test("a program that ends at the moment of the abort is let go all the same", () => {
  const childThat = (failure: Error) => ({
    unref() {
      throw failure;
    },
  });
  // The runtime has seen the end, and its ChildProcess has not.
  letGo(childThat(new Deno.errors.BadResource("Bad resource ID")));
  const other = new TypeError("another failure");
  assertThrows(() => letGo(childThat(other)), TypeError, "another failure");
});

Deno.test("a program that ignores SIGTERM blocks no caller and is killed", async () => {
  const directory = await Deno.makeTempDir();
  const pidFile = `${directory}/pid`;
  const controller = new AbortController();
  // The shell stays, and with it the pipes, while its child sleeps.
  const script =
    `trap "" TERM; echo $$ > ${pidFile}; while :; do sleep 1; done`;
  const run = runner.run("sh", ["-c", script], { signal: controller.signal });
  run.catch(() => {});
  const read = () => Deno.readTextFile(pidFile).catch(() => "");
  while (await read() === "") await delay(10);
  const pid = Number(await read());
  controller.abort(new Error("stop"));
  await assertRejects(() => run, Error, "stop");
  const isThere = () => Deno.stat(`/proc/${pid}`).then(() => true, () => false);
  while (await isThere()) await delay(50);
  await Deno.remove(directory, { recursive: true });
});
