/**
 * TLS with client certificates, an account for the prefix alone, and what of
 * them anybody can see.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { loden } from "../rig/agent.ts";
import { run } from "../../tools/command.ts";
import { type Fault, runFault } from "./faults/fault.ts";
import { keyOf } from "./faults/fault_world.ts";
import { TestWorld } from "./faults/test_faults.ts";
import { CONFIG, type Node } from "./overlay.ts";
import { SecuredEtcd } from "./secured_etcd.ts";

/** Long enough for a retry after the one that made the agents tell. */
const LASTS_MS = 2_000;

const making = SecuredEtcd.make();
const each = new TestWorld(async () => {
  const { flags, overlayOptions } = await making;
  // All that an agent ever says.
  return { ...overlayOptions, flags: [...flags, "-v=10"] };
});
Deno.test.afterAll(async () => await (await making)[Symbol.asyncDispose]());

Deno.test("hosts join by an account that may touch nothing but the prefix", async () => {
  const world = await each.world;
  const before = await world.bearings();
  assert(before.subnets.every((subnet) => subnet !== "none"));
  await world.untilWell(before);
});

Deno.test("the account is enough for loden config put", async () => {
  const { host } = (await each.world).node(0);
  const { flags } = await making;
  const said = await loden(host.namespace, [
    ...["config", "put", ...flags],
    ...[`--etcd-endpoints=${(await each.world).rig.etcdEndpoint}`],
    JSON.stringify({ ...CONFIG, SubnetLen: 24 }),
  ]);
  assertEquals(said.exitCode, 0, said.stderr);
});

const FAULTS: readonly Fault[] = [
  {
    name: "the certificate of etcd has expired, and is replaced",
    inject: async ({ rig }) => {
      await (await making).expireServer();
      await rig.etcd.kill();
      await rig.etcd.start();
    },
    told: { states: ["degraded"], causes: ["registry.tls"] },
    heal: async () => await (await making).renewServer(),
  },
  {
    name: "the account has another password, and hosts are told later",
    inject: async (world) => {
      const { etcd } = world.rig;
      await (await making).changePassword(etcd);
      // Watches go on; who writes must log in.
      const { subnets } = await world.bearings();
      for (const subnet of subnets) await etcd.ctl("del", keyOf(subnet));
    },
    told: { states: ["degraded"], causes: ["registry.auth"] },
    heal: async () => await (await making).tellPassword(),
  },
];

for (const fault of FAULTS) {
  Deno.test(`no packet is lost when ${fault.name}`, async () => {
    await runFault(fault, await each.world, await each.traffic, {
      lastsMs: LASTS_MS,
    });
  });
}

Deno.test("every byte of the streams has come through all of it", async () => {
  await (await each.traffic).finish();
});

Deno.test("files and directories are open to those who need them, and no further", async () => {
  const world = await each.world;
  const { dockerOptsFile, runDirectory, stateDirectory, subnetFile } =
    world.node(0).agent.files;
  assertEquals(await modeOf(subnetFile), "644");
  assertEquals(await modeOf(dockerOptsFile), "644");
  for (const directory of [runDirectory, stateDirectory]) {
    assertEquals(await modeOf(directory), "700", directory);
    for await (const { name } of Deno.readDir(directory)) {
      assertEquals(await modeOf(`${directory}/${name}`), "600", name);
    }
  }
});

Deno.test("no secret is in a log, a status, a file or a command line", async () => {
  const { nodes } = await each.world;
  const shown: [where: string, text: string][] = [];
  for (const node of nodes) {
    shown.push(...await shownBy(node));
  }
  const secured = await making;
  const { host } = nodes[0]!;
  const endpoint = `--etcd-endpoints=${(await each.world).rig.etcdEndpoint}`;
  for (const command of [["config", "show"], ["config", "show", "--json"]]) {
    const { stdout, stderr } = await loden(
      host.namespace,
      [...command, "--etcd-username=host", endpoint],
      { FLANNELD_ETCD_PASSWORD: secured.password },
    );
    assertStringIncludes(stdout, "hidden");
    shown.push([command.join(" "), stdout + stderr]);
  }
  // A password that etcd refuses is in no error either.
  const wrong = `wrong-${secured.password}`;
  const refused = await loden(
    host.namespace,
    [
      ...["config", "put", JSON.stringify(CONFIG), endpoint],
      ...secured.flags.filter((flag) => !flag.includes("password")),
    ],
    { FLANNELD_ETCD_PASSWORD: wrong },
  );
  assertStringIncludes(refused.stderr, "user name and password");
  shown.push(["config put", refused.stdout + refused.stderr]);
  for (const secret of [wrong, ...await secured.secrets()]) {
    for (const [where, text] of shown) {
      assert(!text.includes(secret), `${secret} is in ${where}`);
    }
  }
});

/** All that an agent shows, and where. */
async function shownBy(
  { agent, host }: Node,
): Promise<[where: string, text: string][]> {
  agent.process.kill("SIGUSR1");
  await agent.process.untilLogged(/"agent\.counters"/, 5_000);
  const shown: [string, string][] = [
    ["log", agent.process.log()],
    ["systemd's status", agent.notifications().join("\n")],
    ["status", await agent.statusText()],
    ["status --json", JSON.stringify(await agent.status())],
  ];
  const { dockerOptsFile, runDirectory, stateDirectory, subnetFile } =
    agent.files;
  const files = [subnetFile, dockerOptsFile];
  for (const directory of [runDirectory, stateDirectory]) {
    for await (const { isFile, name } of Deno.readDir(directory)) {
      if (isFile) files.push(`${directory}/${name}`);
    }
  }
  for (const file of files) {
    shown.push([file, await Deno.readTextFile(file)]);
  }
  const pids = await run(["ip", "netns", "pids", host.name]);
  const running = pids.trim().split("\n");
  assert(running.includes(`${agent.process.pid}`), pids);
  for (const pid of running) {
    shown.push(["ps", await Deno.readTextFile(`/proc/${pid}/cmdline`)]);
  }
  return shown.map(([where, text]) => [`${host.name}: ${where}`, text]);
}

/** Permission bits, octal. */
async function modeOf(path: string): Promise<string> {
  return ((await Deno.stat(path)).mode! & 0o777).toString(8);
}
