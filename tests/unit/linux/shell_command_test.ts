import { assertEquals, assertRejects } from "@std/assert";
import { delay } from "@std/async/delay";
import { runShell } from "../../../linux/shell_command.ts";

const never = new AbortController().signal;

Deno.test("a command runs in the shell, with its variables, and says how it ended", async () => {
  const result = await runShell('echo "$WHERE"; echo bad >&2; exit 3', {
    env: { WHERE: "here" },
    signal: never,
  });
  assertEquals(result, { code: 3, stdout: "here", stderr: "bad" });
});

Deno.test("a command has the documented environment and its own variables, and nothing of the agent's", async () => {
  Deno.env.set("FLANNELD_ETCD_PASSWORD", "secret");
  try {
    const { stdout } = await runShell("env -u _ -u PWD -u SHLVL env", {
      env: { WHERE: "here" },
      signal: never,
    });
    const names = stdout.split("\n").map((line) => line.split("=")[0]);
    assertEquals(names.sort(), ["LC_ALL", "PATH", "WHERE"]);
  } finally {
    Deno.env.delete("FLANNELD_ETCD_PASSWORD");
  }
});

Deno.test("of much output the end is kept", async () => {
  const { isCut, stdout } = await runShell("seq 1 100000", {
    env: {},
    signal: never,
  });
  assertEquals(isCut, true);
  assertEquals(stdout.length < 5_000, true);
  assertEquals(stdout.endsWith("\n100000"), true);
});

Deno.test("an abort ends what the command has started as well", async () => {
  const ending = new AbortController();
  const file = await Deno.makeTempFile();
  try {
    const run = runShell(`sleep 60 & echo $! > ${file}; wait; echo late`, {
      env: {},
      signal: ending.signal,
    });
    let pid = 0;
    while (pid === 0) pid = Number(await Deno.readTextFile(file));
    ending.abort(new DOMException("SIGTERM", "AbortError"));
    await assertRejects(() => run, DOMException, "SIGTERM");
    // Its output has ended, so no process holds the other end any more.
    await assertRejects(() => Deno.stat(`/proc/${pid}/fd/1`));
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("an abort ends what ignores SIGTERM and has no output open", async () => {
  const ending = new AbortController();
  const file = await Deno.makeTempFile();
  try {
    const script = `echo $$ >${file}; exec sleep 60`;
    const run = runShell(
      `(trap '' TERM; exec sh -c '${script}') >/dev/null 2>&1 & wait`,
      { env: {}, signal: ending.signal },
    );
    let pid = 0;
    while (pid === 0) pid = Number(await Deno.readTextFile(file));
    ending.abort(new DOMException("SIGTERM", "AbortError"));
    await assertRejects(() => run, DOMException, "SIGTERM");
    await waitUntilEnded(pid);
  } finally {
    await Deno.remove(file);
  }
});

/** Fails after five seconds. */
async function waitUntilEnded(pid: number): Promise<void> {
  const isRunning = () =>
    Deno.stat(`/proc/${pid}/fd/1`).then(() => true, () => false);
  for (let turn = 0; await isRunning(); turn++) {
    assertEquals(turn < 100, true, `${pid} runs`);
    await delay(50);
  }
}

Deno.test("a command has words and an input, which it need not read", async () => {
  const { stdout } = await runShell('echo "$#:$2"; cat', {
    args: ["a", "b c"],
    env: {},
    stdin: "of the input\n",
    signal: never,
  });
  assertEquals(stdout, "2:b c\nof the input");
  const large = "x".repeat(1 << 20);
  const { code } = await runShell("exit 5", {
    env: {},
    stdin: large,
    signal: never,
  });
  assertEquals(code, 5);
});

Deno.test("a command that ignores SIGTERM is killed, and one that has left its session is not waited for", async () => {
  for (const command of ["trap '' TERM; sleep 60", "setsid sleep 60 & wait"]) {
    const ending = new AbortController();
    const startedAtMs = performance.now();
    const run = runShell(command, { env: {}, signal: ending.signal });
    setTimeout(() => ending.abort(new DOMException("now", "AbortError")), 200);
    await assertRejects(() => run, DOMException, "now");
    assertEquals(performance.now() - startedAtMs < 20_000, true);
  }
});
