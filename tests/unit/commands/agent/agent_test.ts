import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { exitCodes, signalExitCode } from "../../../../agent/exit_codes.ts";
import { instancePaths } from "../../../../agent/instance/instance.ts";
import { InstanceLock } from "../../../../agent/instance/instance_lock.ts";
import { AgentState } from "../../../../agent/status/state.ts";
import { StatusServer } from "../../../../agent/status/status_server.ts";
import { socketRoutes } from "../../../../commands/agent/routes.ts";
import { dispatch } from "../../../../commands/dispatch.ts";
import { commandTable } from "../../../../commands/table.ts";
import { VERSION } from "../../../../version.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeCommandIo } from "../../../fakes/fake_command_io.ts";

async function outcome(argv: string[], env: Record<string, string> = {}) {
  const io = new FakeCommandIo(argv, env);
  return { code: await dispatch(io, commandTable), out: io.out, err: io.err };
}

Deno.test("--version prints the bare version first, on stderr, as flanneld; then commit and Deno", async () => {
  for (const flag of ["--version", "-version", "-version=true"]) {
    const { code, err, out } = await outcome([flag]);
    assertEquals([code, out], [0, ""]);
    const [first, second, ...rest] = err.split("\n");
    assertEquals([first, ...rest], [VERSION, ""]);
    assertMatch(
      second!,
      /^commit ([0-9a-f]{40}(-dirty)?|unknown), Deno \d+\.\d+\.\d+$/,
    );
  }
});

Deno.test("--help names every command and every flag", async () => {
  const { code, out } = await outcome(["-h"]);
  assertEquals(code, 0);
  for (
    const part of ["--etcd-endpoints", "--iface", "docker-opts", "cleanup"]
  ) {
    assertStringIncludes(out, part);
  }
});

Deno.test("bad input ends with 2 and one line that says where it came from", async () => {
  const cases: [string[], Record<string, string>, string][] = [
    [["--ifcae=eth0"], {}, "there is no flag --ifcae"],
    [["--healthz-port=x"], {}, "--healthz-port"],
    [["start"], {}, '"start"'],
    [["agent", "now"], {}, '"now"'],
    [[], { FLANNELD_IP_MASQ: "perhaps" }, "FLANNELD_IP_MASQ"],
    [["--config=/nowhere.yaml"], {}, "/nowhere.yaml"],
    [["--disable-feature=warp"], {}, "warp"],
    [["--kube-subnet-mgr"], {}, "--kube-subnet-mgr"],
  ];
  for (const [argv, env, part] of cases) {
    const { code, err } = await outcome(argv, env);
    assertEquals(code, 2, argv.join(" "));
    assertStringIncludes(err.split("\n")[0]!, part);
  }
});

Deno.test("a second agent of the network ends with 4 before it touches anything", async () => {
  const runDir = await Deno.makeTempDir();
  {
    using _lock = InstanceLock.acquire(instancePaths(runDir, "/a"), "/a", 4711);
    // Its line is in the log, on the real stderr.
    const { code } = await outcome([`--run-dir=${runDir}`, "--etcd-prefix=/a"]);
    assertEquals(code, exitCodes.alreadyRunning);
  }
  await Deno.remove(runDir, { recursive: true });
});

Deno.test("status says by its code whether the network is up", async () => {
  const runDir = await Deno.makeTempDir();
  const argv = ["status", `--run-dir=${runDir}`, "--etcd-prefix=/a"];
  const absent = await outcome(argv);
  assertEquals(absent.code, exitCodes.notRunning);
  assertStringIncludes(absent.err, `${runDir}/a.sock`);
  const state = new AgentState({
    version: VERSION,
    pid: 4711,
    instance: "a",
    etcdPrefix: "/a",
    etcdEndpoints: [],
  }, new FakeClock());
  const server = StatusServer.start(
    instancePaths(runDir, "/a"),
    socketRoutes(state),
  );
  assertEquals((await outcome(argv)).code, exitCodes.notReady);
  state.set({ ready: true });
  const ready = await outcome([...argv, "--json"]);
  assertEquals(ready.code, exitCodes.ok);
  assertEquals(JSON.parse(ready.out).pid, 4711);
  await server.stop();
  await Deno.remove(runDir, { recursive: true });
});

Deno.test("config show tells where a value comes from, and hides a password", async () => {
  const { code, out } = await outcome([
    "config",
    "show",
    "--iface=eth1",
    "--json",
  ], {
    FLANNELD_ETCD_USERNAME: "loden",
    FLANNELD_ETCD_PASSWORD: "secret",
  });
  assertEquals(code, 0);
  const { settings } = JSON.parse(out);
  assertEquals(settings.iface.source, "flag");
  assertEquals(settings["etcd-username"].detail, "FLANNELD_ETCD_USERNAME");
  assertEquals(out.includes("secret"), false);
});

Deno.test("docs/cli.md lists every command and every exit code", async () => {
  const docs = await Deno.readTextFile(
    new URL("../../../../docs/cli.md", import.meta.url),
  );
  for (const { name } of commandTable) {
    assertStringIncludes(docs, `\`loden ${name}`);
  }
  const [, table] = docs.split("## Exit codes");
  const listed = [...table!.split("\n## ")[0]!.matchAll(/^\| (\d+) +\|/gm)]
    .map(([, code]) => Number(code));
  assertEquals(listed, Object.values(exitCodes).toSorted((a, b) => a - b));
  assertEquals(signalExitCode("SIGTERM"), 143);
});
