import { assertEquals, assertRejects } from "@std/assert";
import type { AgentProcess } from "../../../commands/agent_process.ts";
import { chooseSettings } from "../../../commands/agent_settings.ts";
import { SettingsError } from "../../../config/errors.ts";
import { resolveSettings } from "../../../config/settings.ts";

const UNIT = "/usr/lib/systemd/system/loden.service";
const AGENT: AgentProcess = {
  pid: 7,
  env: { FLANNELD_ETCD_ENDPOINTS: "http://192.0.2.7:2379" },
  words: ["--iface=eth7"],
  logFile: undefined,
  unit: undefined,
};

async function choose(
  argv: readonly string[],
  { agent, files = {} }: {
    readonly agent?: AgentProcess;
    readonly files?: Readonly<Record<string, string>>;
  } = {},
) {
  const own = await resolveSettings({
    argv,
    env: {},
    readFile: () => Promise.reject(new Error("no file is asked for")),
  });
  const { settings, source } = await chooseSettings(own, {
    findAgent: () => Promise.resolve(agent),
    readText: (path) => files[path],
  });
  const { etcdEndpoints, iface, ipMasq } = settings;
  return { endpoint: etcdEndpoints[0], iface, ipMasq, source };
}

const INSTALLED = {
  [UNIT]: "[Service]",
  "/etc/loden/options.env": "FLANNELD_IFACE=eth1\n",
  "/etc/default/loden":
    "# mine\nFLANNELD_ETCD_ENDPOINTS=http://192.0.2.1:2379\nFLANNELD_IFACE=eth2\n",
};

Deno.test("settings that the command is given are checked, whatever runs", async () => {
  const { endpoint, iface, source } = await choose(["--iface=eth0"], {
    agent: AGENT,
    files: INSTALLED,
  });
  assertEquals([endpoint, iface, source], [
    "http://127.0.0.1:4001",
    ["eth0"],
    undefined,
  ]);
});

Deno.test("without any, those of the running agent are", async () => {
  for (const argv of [[], ["--etcd-prefix=/a", "--run-dir=/run/b"]]) {
    const { endpoint, iface, source } = await choose(argv, {
      agent: AGENT,
      files: INSTALLED,
    });
    assertEquals([endpoint, iface, source], [
      "http://192.0.2.7:2379",
      ["eth7"],
      "process 7, the running agent",
    ]);
  }
});

Deno.test("variables that have changed since the unit started the agent are named", async () => {
  const changed = async (
    agent: AgentProcess,
    files: Readonly<Record<string, string>> = INSTALLED,
  ) =>
    (await chooseSettings(
      await resolveSettings({
        argv: [],
        env: {},
        readFile: () => Promise.reject(new Error("no file is asked for")),
      }),
      {
        findAgent: () => Promise.resolve(agent),
        readText: (path) => files[path],
      },
    )).changed;
  const ofUnit = { ...AGENT, unit: "loden.service" };
  assertEquals(await changed(ofUnit), [
    "FLANNELD_IFACE",
    "FLANNELD_ETCD_ENDPOINTS",
  ]);
  const env = {
    FLANNELD_ETCD_ENDPOINTS: "http://192.0.2.1:2379",
    FLANNELD_IFACE: "eth2",
    FLANNELD_ETCD_KEYFILE: "from a drop-in",
  };
  assertEquals(await changed({ ...ofUnit, env }), []);
  // systemd takes a comment behind a value as part of it.
  const commented = "eth1   # the private network";
  assertEquals(
    await changed({ ...ofUnit, env: { FLANNELD_IFACE: commented } }, {
      "/etc/default/loden": `FLANNELD_IFACE=${commented}\n`,
    }),
    [],
  );
  // The files are not those of an agent that the unit has not started.
  assertEquals(await changed(AGENT), []);
});

Deno.test("without an agent, those of its unit are: the last file wins", async () => {
  assertEquals(await choose([], { files: INSTALLED }), {
    endpoint: "http://192.0.2.1:2379",
    iface: ["eth2"],
    ipMasq: true,
    source: `${UNIT} and its files`,
  });
  // The unit is that of another prefix.
  const { source } = await choose(["--etcd-prefix=/a"], { files: INSTALLED });
  assertEquals(source, undefined);
});

Deno.test("what cannot be read or used leaves the command's own", async () => {
  const unread = { ...AGENT, env: {}, words: [] };
  const { source } = await choose([], { agent: unread, files: INSTALLED });
  assertEquals(source, undefined);
  assertEquals((await choose([])).source, undefined);
});

Deno.test("a value with which the unit would not start is an error", async () => {
  const files = {
    ...INSTALLED,
    "/etc/default/loden": "FLANNELD_PEER_GRACE=x\n",
  };
  await assertRejects(() => choose([], { files }), SettingsError, "PEER_GRACE");
});

Deno.test("the unit's command line is that of the package", async () => {
  const text = await Deno.readTextFile(
    new URL(
      "../../../packaging/systemd/loden.service",
      import.meta.url,
    ),
  );
  assertEquals(
    /^ExecStart=(.*)$/m.exec(text)![1],
    "/usr/bin/loden --ip-masq=true",
  );
  assertEquals(
    [...text.matchAll(/^EnvironmentFile=-(.*)$/gm)].map(([, path]) => path),
    [
      "/run/flannel/options.env",
      "/etc/loden/options.env",
      "/etc/default/loden",
    ],
  );
});
