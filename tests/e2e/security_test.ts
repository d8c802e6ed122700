/**
 * TLS with client certificates, an account for the prefix alone, and what of
 * them anybody can see.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { after, describe } from "@std/testing/bdd";
import { loden } from "../rig/agent.ts";
import { run } from "../../tools/command.ts";
import type { Fault } from "./faults/fault.ts";
import { keyOf } from "./faults/fault_world.ts";
import { FaultSuite } from "./faults/test_faults.ts";
import { CONFIG, type Node } from "./overlay.ts";
import { SecuredEtcd } from "./secured_etcd.ts";

let secured: SecuredEtcd;

const FAULTS: readonly Fault[] = [
  {
    name: "the certificate of etcd has expired, and is replaced",
    inject: async ({ rig }) => {
      await secured.expireServer();
      await rig.etcd.kill();
      await rig.etcd.start();
    },
    told: { states: ["degraded"], causes: ["registry.tls"] },
    heal: () => secured.renewServer(),
  },
  {
    name: "the account has another password, and hosts are told later",
    inject: async (world) => {
      const { etcd } = world.rig;
      await secured.changePassword(etcd);
      // Watches go on; who writes must log in.
      const { subnets } = await world.bearings();
      for (const subnet of subnets) await etcd.ctl("del", keyOf(subnet));
    },
    told: { states: ["degraded"], causes: ["registry.auth"] },
    heal: () => secured.tellPassword(),
  },
];

describe("a secured etcd", () => {
  const made = new AsyncDisposableStack();
  const suite = new FaultSuite(async () => {
    secured = made.use(await SecuredEtcd.make());
    // All that an agent ever says.
    return {
      ...secured.overlayOptions,
      flags: [...secured.flags, "-v=10"],
      // What others must read, they can also where an administrator is careful.
      wrapper: ["sh", "-c", 'umask 077; exec "$@"', "sh"],
    };
  });
  after(() => made.disposeAsync());

  suite.test("hosts join by an account that may touch nothing but the prefix", async (world) => {
    const before = await world.bearings();
    assert(before.subnets.every((subnet) => subnet !== "none"));
    await world.untilWell(before);
  });

  suite.test("the account is enough for loden config put", async (world) => {
    const { host } = world.node(0);
    const { flags } = secured;
    const said = await loden(host.namespace, [
      ...["config", "put", ...flags],
      ...[`--etcd-endpoints=${world.rig.etcdEndpoint}`],
      JSON.stringify({ ...CONFIG, SubnetLen: 24 }),
    ]);
    assertEquals(said.exitCode, 0, said.stderr);
  });

  suite.testFaults(FAULTS);

  suite.test("files and directories are accessible only to the users who need them", async (world) => {
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

  suite.test("no secret is in a log, a status, a file or a command line", async ({ nodes, rig }) => {
    const shown: [where: string, text: string][] = [];
    for (const node of nodes) {
      shown.push(...await shownBy(node));
    }
    const { host } = nodes[0]!;
    const endpoint = `--etcd-endpoints=${rig.etcdEndpoint}`;
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
    ["status --json", await agent.statusText("--json")],
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
