import { assertEquals, assertRejects } from "@std/assert";
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
  const { stdout } = await runShell("seq 1 100000", { env: {}, signal: never });
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
