/**
 * What the agent finds, sets, shows and removes on its host.
 *
 * One host, one story: a dry run, a start that has to wait for room, rules that
 * others flush, and a cleanup that leaves the host as it was found.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Agent, loden } from "../rig/agent.ts";
import { Daemon } from "../rig/daemon.ts";
import { Rig, SWITCH_ADDRESS } from "../rig/rig.ts";
import { CONFIG, eventually } from "./overlay.ts";

const WAIT_MS = 20_000;
const OTHER_SUBNET = "10.1.9.0/24";

/** An administrator's own rules, which must outlive everything. */
const FOREIGN_RULES = `
iptables -A FORWARD -s 198.51.100.7 -j DROP
iptables -t nat -A POSTROUTING -s 198.51.100.8 -j RETURN
iptables -t mangle -A PREROUTING -s 198.51.100.10 -j RETURN
nft add table ip foreign
nft add chain ip foreign c '{ type filter hook forward priority 5; }'
nft add rule ip foreign c ip saddr 198.51.100.9 drop`;

/** Rules, routes, devices and settings, without what counts or ages. */
const SNAPSHOT = `
ip -o link show | sed 's/^[0-9]*: //; s/ qlen .*//; s/@[^:]*//' | sort
ip -o address show | sed 's/valid_lft.*//; s/^[0-9]*: //' | grep -v inet6 | sort
ip route show table all | grep -v -e fe80 -e ff00 -e 'dev lo' -e ^multicast | sort
iptables-save | grep -e '^-A' -e '^:[^ ]* -' | sort
nft list table ip foreign 2>/dev/null | sed 's/ # handle.*//'
nft list tables | sort
tc filter show dev eth0 ingress
cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/eth0/rp_filter`;

Deno.test("an agent cares for its host", async (t) => {
  await using rig = await Rig.create({ hosts: 1 });
  await rig.startEtcd();
  await rig.publish(CONFIG);
  const host = rig.host(0);
  const { namespace } = host;
  const home = `${host.directory}/agent`;
  const flags = [
    `--etcd-endpoints=${rig.etcdEndpoint}`,
    "--iface=eth0",
    "--ip-masq=true",
    `--subnet-file=${home}/subnet.env`,
    `--docker-opts-file=${home}/docker_opts.env`,
    `--state-dir=${home}/state`,
    `--run-dir=${home}/run`,
  ];
  const command = async (...words: string[]) => {
    const { exitCode: code, ...rest } = await loden(namespace, [
      ...words,
      ...flags,
    ]);
    return { code, ...rest };
  };
  const sh = (script: string) => namespace.run(["sh", "-euc", script]);
  const snapshot = () => sh(SNAPSHOT);
  const rulesAreInPlace = () =>
    eventually(
      "the rules in place",
      () => command("firewall", "show"),
      ({ code }) => code === 0,
    );
  let agent: Agent;
  const status = () => agent.status();

  await sh(FOREIGN_RULES);
  // iptables creates a table for its first rule, and no tool removes it when the
  // last one is gone: here all three are there before the agent.
  const before = await snapshot();

  await t.step(
    "a dry run says what a start would make, and makes none of it",
    async () => {
      const { code, stdout } = await command("agent", "--dry-run");
      assertEquals(code, 0, stdout);
      for (
        const line of [
          /^would lease a free subnet of 10\.1\.0\.0\/16/m,
          /^would create device flannel%d, MTU 1472/m,
          /^would change firewall rules: iptables/m,
          /^would write file .*subnet\.env/m,
        ]
      ) assertMatch(stdout, line);
      assertEquals(await snapshot(), before);
      assertEquals(
        await rig.etcd.ctl("get", "--prefix", "--keys-only", "/"),
        "/coreos.com/network/config\n\n",
      );
    },
  );

  await t.step(
    "a flanneld of the same network is named, and ends the start with 4",
    async () => {
      const flanneld = new Daemon({
        name: "flanneld",
        command: [
          ...namespace.commandPrefix,
          "bash",
          "-c",
          `cp /usr/bin/sleep ${host.directory}/flanneld && ` +
          `exec ${host.directory}/flanneld 60`,
        ],
        logFile: `${host.directory}/flanneld.log`,
      });
      await using _flanneld = flanneld;
      const refused = await eventually(
        "the agent refused",
        async () => {
          const second = await rig.startAgent(host, { instance: "refused" });
          const code = await second.process.ended(WAIT_MS);
          return { code, log: second.process.log() };
        },
        ({ code }) => code === 4,
      );
      assertMatch(refused.log, /flanneld and also uses the network/);
    },
  );

  await t.step(
    "a network that overlaps a route waits, and names the route",
    async () => {
      await sh(`ip route add ${OTHER_SUBNET} via ${SWITCH_ADDRESS}`);
      const dry = await command("agent", "--dry-run");
      assertEquals(dry.code, 1);
      assertMatch(dry.stdout, /^STOPPED: .*10\.1\.9\.0\/24 via/m);
      agent = await rig.startAgent(host, { flags: ["--datapath=ebpf"] });
      await agent.process.untilLogged(
        /network\.overlaps.*10\.1\.9\.0\/24/,
        WAIT_MS,
      );
      const rules = await sh("iptables-save");
      assertEquals(
        /FLANNEL/.test(rules),
        false,
        "no rule before there is room",
      );
      await sh(`ip route del ${OTHER_SUBNET}`);
      await agent.ready();
      // The route was taken for another backend's: the next look does not find it.
      await eventually(
        "no warning",
        async () => (await status()).warnings,
        (warnings) => warnings.length === 0,
        WAIT_MS,
      );
    },
  );

  await t.step(
    "beside the running agent a dry run finds nothing to change",
    async () => {
      const { code, stdout } = await command("agent", "--dry-run");
      assertEquals(code, 0);
      assertMatch(stdout, /an agent is running/);
      assertMatch(stdout, /^nothing would change$/m);
    },
  );

  await t.step(
    "a second agent with another run directory is refused",
    async () => {
      const second = await rig.startAgent(host, { instance: "elsewhere" });
      assertEquals(await second.process.ended(WAIT_MS), 4);
      assertMatch(second.process.log(), /with a --run-dir other than/);
    },
  );

  await t.step(
    "rules that are flushed come back, in order, and others' stay",
    async () => {
      await rulesAreInPlace();
      for (
        const damage of [
          "iptables -F FLANNEL-FWD",
          "iptables -t nat -F POSTROUTING; iptables -t nat -A POSTROUTING -s 198.51.100.8 -j RETURN",
          "iptables -t nat -F; iptables -t nat -X; iptables -t nat -A POSTROUTING -s 198.51.100.8 -j RETURN",
          "iptables -D FORWARD -m comment --comment 'flanneld forward' -j FLANNEL-FWD",
        ]
      ) {
        await sh(damage);
        await rulesAreInPlace();
      }
      const rules = await sh("iptables-save");
      assertMatch(rules, /-A FORWARD -s 198\.51\.100\.7\/32 -j DROP/);
      assertMatch(rules, /-A POSTROUTING -s 198\.51\.100\.8\/32 -j RETURN/);
      assertMatch(
        await sh("nft list table ip foreign"),
        /198\.51\.100\.9 drop/,
      );
      const { stdout } = await command("firewall", "show", "--json");
      const [set] = JSON.parse(stdout).sets;
      assertEquals([set.tool, set.state], ["iptables", "in-place"]);
    },
  );

  await t.step(
    "forwarding that is switched off is told, and switched on where that is asked for",
    async () => {
      await sh("echo 0 >/proc/sys/net/ipv4/ip_forward");
      await eventually(
        "the warning",
        status,
        ({ warnings }) =>
          warnings.some(({ code }) => code === "host.forwarding"),
      );
      await agent.stop();
      // The next one has the same socket.
      agent[Symbol.dispose]();
      agent = await rig.startAgent(host, {
        flags: ["--datapath=ebpf", "--set-sysctls"],
      });
      await agent.ready();
      await agent.process.untilLogged(/host\.sysctl-set/, WAIT_MS);
      assertEquals((await sh("cat /proc/sys/net/ipv4/ip_forward")).trim(), "1");
      assertEquals((await status()).warnings, []);
    },
  );

  await t.step("cleanup refuses while the agent runs", async () => {
    assertEquals((await command("cleanup", "--dry-run")).code, 4);
  });

  await t.step(
    "a dry cleanup names all, the real one removes just that, and the host is as before",
    async () => {
      assertEquals(await agent.stop(), 0);
      const left = await snapshot();
      assert(left !== before, "a stop is no teardown");
      const dry = await command("cleanup", "--dry-run");
      assertEquals(dry.code, 0);
      assertEquals(await snapshot(), left);
      for (
        const what of [
          /^would remove file .*subnet\.env$/m,
          /^would remove file .*docker_opts\.env$/m,
          /^would remove .*program.* eth0/m,
          /^would remove devices? flannel0/m,
          /^would remove iptables rules of 10\.1\.0\.0\/16/m,
          /^would remove route unreachable 10\.1\.0\.0\/16$/m,
          /^would keep file .*state\/coreos\.com-network\.json/m,
        ]
      ) assertMatch(dry.stdout, what);
      const done = await command("cleanup", "--state");
      assertEquals(done.code, 0, done.stderr);
      const named = (text: string) =>
        text.split("\n").filter((line) => /remove/.test(line))
          .map((line) => line.replace(/^(would remove|removed) /, "")).sort();
      assertEquals(
        named(done.stdout).filter((line) => !/state\//.test(line)),
        named(dry.stdout),
      );
      assertEquals(await snapshot(), before);
      const files: string[] = [];
      for (const directory of [home, `${home}/run`, `${home}/state`]) {
        for await (const { name, isFile } of Deno.readDir(directory)) {
          if (isFile) files.push(name);
        }
      }
      assertEquals(files.sort(), ["coreos.com-network.lock", "log"]);
      assertEquals((await command("cleanup")).stdout, "nothing to remove\n");
    },
  );
});
