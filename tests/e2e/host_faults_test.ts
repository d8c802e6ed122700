/**
 * Hosts that are not as they should be when an agent starts, or do not stay so.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import type { StatusSnapshot } from "../../agent/status/status_snapshot.ts";
import { type Agent, loden } from "../rig/agent.ts";
import type { RigHost } from "../rig/host.ts";
import { Rig } from "../rig/rig.ts";
import { CONFIG, eventually } from "./overlay.ts";

const WAIT_MS = 30_000;
/** Programs of iptables and nft, by all their names. */
const FIREWALL_PROGRAMS =
  "find /usr/sbin /sbin /usr/bin /bin -name 'ip6tables*' -o -name 'iptables*' " +
  "-o -name 'xtables*' -o -name nft";

async function startHost(
  config: Readonly<Record<string, unknown>> = CONFIG,
): Promise<{ rig: Rig; host: RigHost }> {
  const rig = await Rig.create({ hosts: 1 });
  await rig.startEtcd();
  await rig.publish(config);
  return { rig, host: rig.host(0) };
}

/** Also of an agent that is not READY, which is exit code 6. */
async function warnings(agent: Agent, host: RigHost): Promise<string[]> {
  const { stdout } = await loden(host.namespace, [
    "status",
    "--json",
    `--run-dir=${agent.files.runDirectory}`,
  ]);
  const status = JSON.parse(stdout) as StatusSnapshot;
  return status.warnings.map(({ code, text }) => `${code}: ${text}`);
}

Deno.test("without iptables and nft Docker gets no options, both are named, and the agent continues when one appears", async () => {
  const { host, rig: made } = await startHost();
  await using rig = made;
  const hidden = `${host.directory}/hidden`;
  const agent = await rig.startAgent(host, {
    prepare: [
      `touch ${hidden}`,
      // A file that cannot be executed hides each of them.
      `${FIREWALL_PROGRAMS} | while read -r each; do ` +
      `[ -L "$each" ] || mount --bind ${hidden} "$each"; done`,
    ],
  });
  await agent.process.untilLogged(/"event":"firewall\.[a-z-]+"/, WAIT_MS);
  const found = await eventually(
    "a warning",
    () => warnings(agent, host),
    (found) => found.some((each) => each.startsWith("firewall.missing")),
    WAIT_MS,
  );
  assertMatch(found.join("\n"), /iptables/);
  assertMatch(found.join("\n"), /\bnft\b/);
  assertEquals(agent.notifications().includes("READY=1"), false);
  await Deno.stat(agent.files.subnetFile).then(
    () => {
      throw new Error("subnet.env is there, and Docker would not masquerade");
    },
    (error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    },
  );
  // In the agent's own mounts: an administrator installs them.
  await rig.switch.run([
    ...["nsenter", `--target=${agent.process.pid}`, "--mount", "sh", "-ec"],
    `${FIREWALL_PROGRAMS} | while read -r each; do ` +
    `! mountpoint -q "$each" || umount "$each"; done`,
  ]);
  await agent.ready(60_000);
  assertEquals(await warnings(agent, host), []);
});

Deno.test("a ruleset that nft flushes comes back", async () => {
  const { host, rig: made } = await startHost({
    ...CONFIG,
    EnableNFTables: true,
  });
  await using rig = made;
  const agent = await rig.startAgent(host);
  await agent.ready();
  const { namespace } = host;
  const table = ["nft", "list", "table", "ip", "flannel-ipv4"];
  const before = await namespace.run(table);
  assertMatch(before, /masquerade/);
  await namespace.run(["nft", "flush", "ruleset"]);
  const after = await eventually(
    "the table again",
    () => namespace.attempt(table),
    ({ stdout }) => stdout === before,
    WAIT_MS,
  );
  assertEquals(after.exitCode, 0);
});

Deno.test("an address that two interfaces have is warned of, and both are named", async () => {
  const { host, rig: made } = await startHost();
  await using rig = made;
  await host.namespace.ip([
    "link add eth7 type veth peer name eth8",
    "link set eth8 up",
    "link set eth7 up",
    `address add ${host.address}/32 dev eth7`,
  ]);
  const agent = await rig.startAgent(host, { iface: host.address });
  await agent.ready();
  const [found, ...more] = await warnings(agent, host);
  assertEquals(more, []);
  assertMatch(found!, /^underlay\.address-twice: .*eth0.*eth7/);
});

Deno.test("a Network that holds the underlay is not started, its route is named, and no command that would cut the host off", async () => {
  const network = '{"Network":"192.0.0.0/16"}';
  const { host, rig: made } = await startHost(JSON.parse(network));
  await using rig = made;
  const agent = await rig.startAgent(host);
  const [line] = await agent.process.untilLogged(
    /^.*"event":"network\.overlaps".*$/m,
    WAIT_MS,
  );
  assertMatch(line!, /192\.0\.2\.0\/24 dev eth0/);
  assertMatch(line!, /publish another Network and restart the agent/);
  assertEquals(/ip route del/.test(line!), false);
  assertEquals(agent.notifications().includes("READY=1"), false);

  const endpoint = `--etcd-endpoints=${rig.etcdEndpoint}`;
  const put = (...words: string[]) =>
    loden(host.namespace, ["config", "put", endpoint, ...words]);
  const refused = await put('{"Network":"192.0.0.0/15"}');
  assertEquals(refused.exitCode, 1);
  assertMatch(refused.stderr, /192\.0\.2\.0\/24 dev eth0/);

  // As the hint says.
  assertEquals((await put(JSON.stringify(CONFIG))).exitCode, 0);
  assertEquals(await agent.stop(), 0);
  agent[Symbol.dispose]();
  const second = await rig.startAgent(host);
  await second.ready();
  assertEquals(await warnings(second, host), []);
});
