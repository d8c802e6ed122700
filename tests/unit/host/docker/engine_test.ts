import { assertEquals } from "@std/assert";
import {
  type EngineProbe,
  findEngine,
} from "../../../../host/docker/engine.ts";

const noSignal = new AbortController().signal;

/** A host with what is in `files`; questions to the daemon are counted. */
function probe(
  files: Record<string, string>,
  answers: Record<string, unknown> = {},
) {
  const asked: string[] = [];
  const read = (path: string) =>
    files[path] === undefined
      ? Promise.reject(Object.assign(new Error(path), { code: "ENOENT" }))
      : Promise.resolve(files[path]);
  const made: EngineProbe = {
    readTextFile: read,
    networkOf: (pid) => Number(files[`/proc/${pid}/net`]),
    ask: (path) => {
      asked.push(path);
      return path in answers
        ? Promise.resolve(answers[path])
        : Promise.reject(new Error("no answer"));
    },
  };
  return { made, asked };
}

const RUNNING = {
  "/run/docker.pid": "77\n",
  "/proc/77/comm": "dockerd\n",
  "/proc/77/net": "1",
  "/proc/self/net": "1",
};
const ANSWERS = {
  "/version": { Version: "28.2.1" },
  "/info": { FirewallBackend: { Driver: "iptables" } },
};

Deno.test("a daemon that runs says its version and its firewall's tool", async () => {
  const { made } = probe(RUNNING, ANSWERS);
  assertEquals(await findEngine(noSignal, undefined, made), {
    pid: 77,
    version: "28.2.1",
    firewallBackend: "iptables",
  });
});

Deno.test("the same process is asked once", async () => {
  const { made, asked } = probe(RUNNING, ANSWERS);
  const first = await findEngine(noSignal, undefined, made);
  await findEngine(noSignal, first, made);
  assertEquals(asked, ["/version", "/info"]);
});

Deno.test("a daemon that does not answer yet is one without a version, and asked again", async () => {
  const { made, asked } = probe(RUNNING);
  const first = await findEngine(noSignal, undefined, made);
  assertEquals(first, {
    pid: 77,
    version: undefined,
    firewallBackend: undefined,
  });
  await findEngine(noSignal, first, made);
  assertEquals(asked.length, 4);
});

for (
  const [title, change] of [
    ["no pid file", { "/run/docker.pid": undefined }],
    ["a pid file that is left over", { "/proc/77/comm": undefined }],
    ["a pid that is another program's now", { "/proc/77/comm": "bash\n" }],
    ["another network namespace", { "/proc/77/net": "2" }],
  ] as const
) {
  Deno.test(`no daemon is seen, and none is asked: ${title}`, async () => {
    const files = { ...RUNNING, ...change } as Record<string, string>;
    const { made, asked } = probe(files, ANSWERS);
    assertEquals(await findEngine(noSignal, undefined, made), undefined);
    assertEquals(asked, []);
  });
}
