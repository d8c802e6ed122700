import { assertEquals } from "@std/assert";
import {
  describeEngine,
  isEngineRunning,
} from "../../../../host/docker/engine.ts";

const RUNNING = {
  "/run/docker.pid": "77\n",
  "/proc/77/comm": "dockerd\n",
  "/proc/77/net": "1",
  "/proc/self/net": "1",
};

/** A host with what is in `files`. */
function isRunning(files: Record<string, string>): Promise<boolean> {
  return isEngineRunning({
    readTextFile: (path) =>
      files[path] === undefined
        ? Promise.reject(Object.assign(new Error(path), { code: "ENOENT" }))
        : Promise.resolve(files[path]),
    networkOf: (pid) => Number(files[`/proc/${pid}/net`]),
  });
}

Deno.test("a daemon of this network namespace is seen by its pid file", async () => {
  assertEquals(await isRunning(RUNNING), true);
});

for (
  const [title, change] of [
    ["no pid file", { "/run/docker.pid": undefined }],
    ["a pid file that is left over", { "/proc/77/comm": undefined }],
    ["a pid that is another program's now", { "/proc/77/comm": "bash\n" }],
    ["another network namespace", { "/proc/77/net": "2" }],
  ] as const
) {
  Deno.test(`no daemon is seen: ${title}`, async () => {
    const files = { ...RUNNING, ...change } as Record<string, string>;
    assertEquals(await isRunning(files), false);
  });
}

/** A daemon with these answers. */
function answering(answers: Record<string, unknown>) {
  return (path: string) =>
    path in answers
      ? Promise.resolve(answers[path])
      : Promise.reject(new Error("no answer"));
}

Deno.test("a daemon says its version and its firewall's tool", async () => {
  const ask = answering({
    "/version": { Version: "28.2.1" },
    "/info": { FirewallBackend: { Driver: "iptables" } },
  });
  assertEquals(await describeEngine(ask), {
    version: "28.2.1",
    firewall: "iptables",
  });
});

Deno.test("an older daemon names no tool, and one that does not answer nothing", async () => {
  const older = answering({ "/version": { Version: "26.1.5" }, "/info": {} });
  assertEquals(await describeEngine(older), {
    version: "26.1.5",
    firewall: null,
  });
  assertEquals(await describeEngine(answering({})), {
    version: null,
    firewall: null,
  });
});
