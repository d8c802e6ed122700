/**
 * A host's lease, from outside: what is said while there is none, whom a key
 * without a TTL gives it to, and what follows when another host takes it.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { delay } from "@std/async/delay";
import type { Agent } from "../rig/agent.ts";
import { Rig } from "../rig/rig.ts";
import { CONFIG, eventually, SUBNETS } from "./overlay.ts";

const WAIT_MS = 30_000;
const THEIRS = '{"PublicIP":"192.0.2.99"}';

/** A rig of one host, and an etcd with this config. */
async function makeRig(config: Readonly<Record<string, unknown>> = CONFIG) {
  await using cleanup = new AsyncDisposableStack();
  const rig = cleanup.use(await Rig.create({ hosts: 1 }));
  await rig.startEtcd();
  await rig.publish(config);
  cleanup.move();
  return rig;
}

/** The last STATUS that the agent gave systemd. */
function saidStatus(agent: Agent): string {
  return agent.notifications()
    .findLast((text) => text.startsWith("STATUS=")) ?? "";
}

async function leaseOf(agent: Agent) {
  return (await agent.status()).lease;
}

/** `10.1.5.0-24`, from subnet.env. */
async function keyOf(agent: Agent): Promise<string> {
  const { FLANNEL_SUBNET } = await agent.subnetEnv();
  const [address, length] = FLANNEL_SUBNET!.split("/");
  return `${address!.replace(/\.\d+$/, ".0")}-${length}`;
}

Deno.test("a host without a free subnet names the holders, the next to expire and a larger config in log, status and STATUS", async () => {
  await using rig = await makeRig({ Network: "10.1.0.0/22", SubnetLen: 24 });
  const { etcd } = rig;
  const grant = async (seconds: number) =>
    / ([0-9a-f]{8,}) /.exec(
      await etcd.ctl("lease", "grant", String(seconds)),
    )![1]!;
  await etcd.ctl(
    ...["put", `--lease=${await grant(36_000)}`, `${SUBNETS}/10.1.1.0-24`],
    '{"PublicIP":"192.0.2.91"}',
  );
  await etcd.ctl(
    ...["put", `--lease=${await grant(1_800)}`, `${SUBNETS}/10.1.2.0-24`],
    '{"PublicIP":"192.0.2.92"}',
  );
  await etcd.ctl("put", `${SUBNETS}/10.1.3.0-24`, '{"PublicIP":"192.0.2.93"}');
  const agent = await rig.startAgent(rig.host(0));
  const said = [
    /3 leases hold all of the 3 subnets/,
    /the next to expire, unless renewed: 10\.1\.2\.0\/24 of 192\.0\.2\.92 in \d+ min,/,
    /min, 10\.1\.1\.0\/24 of 192\.0\.2\.91 in \d+ h \d+ min/,
    /1 are reserved and never expire \(10\.1\.3\.0\/24 of 192\.0\.2\.93\)/,
    /SubnetLen 25 would give 7/,
    /Network 10\.1\.0\.0\/21 would give 7/,
  ];
  await agent.process.untilLogged(/"lease\.waiting".*pool-exhausted/, WAIT_MS);
  for (const words of said) assertMatch(agent.process.log(), words);
  const { state, cause } = (await leaseOf(agent))!;
  assertEquals(state, "acquiring");
  for (const words of said) assertMatch(cause!, words);
  // Told a moment after the log.
  await eventually(
    "the same in STATUS",
    () => Promise.resolve(saidStatus(agent)),
    (status) => said.every((words) => words.test(status)),
    WAIT_MS,
  );
  for (const words of said) assertMatch(await agent.statusText(), words);
  assert(!agent.notifications().includes("READY=1"));
  await etcd.ctl("del", `${SUBNETS}/10.1.2.0-24`);
  await agent.ready(WAIT_MS);
  assertEquals(await keyOf(agent), "10.1.2.0-24");
});

Deno.test("a key without a TTL gives its subnet to the host with its PublicIP, and never ends", async () => {
  await using rig = await makeRig();
  const key = `${SUBNETS}/10.1.77.0-24`;
  await rig.etcd.ctl("put", key, '{"PublicIP":"192.0.2.11"}');
  const agent = await rig.startAgent(rig.host(0));
  await agent.ready();
  assertEquals(await keyOf(agent), "10.1.77.0-24");
  assertMatch(await rig.etcd.ctl("get", "-w", "fields", key), /"Lease" : 0\b/);
  const { expires } = (await leaseOf(agent)) as unknown as {
    expires: string | null;
  };
  assertEquals(expires, null);
});

Deno.test("--on-subnet-change=exit: another host's key ends the agent with 7, and the next one keeps the new subnet", async () => {
  await using rig = await makeRig();
  const flags = ["--on-subnet-change=exit"];
  const agent = await rig.startAgent(rig.host(0), { flags });
  await agent.ready();
  const key = await keyOf(agent);
  await rig.etcd.ctl("put", `${SUBNETS}/${key}`, THEIRS);
  assertEquals(await agent.process.ended(WAIT_MS), 7);
  const next = await keyOf(agent);
  assert(next !== key);
  agent[Symbol.dispose]();
  const again = await rig.startAgent(rig.host(0), { flags });
  await again.ready();
  assertEquals(await keyOf(again), next);
});

Deno.test("--on-subnet-change=run: the command gets both subnets, once the files have the new one", async () => {
  await using rig = await makeRig();
  const out = `${rig.directory}/told`;
  const agent = await rig.startAgent(rig.host(0), {
    flags: [
      `--on-subnet-change=run:echo "$LODEN_FORMER_SUBNET $LODEN_SUBNET $FLANNEL_SUBNET" > ${out}`,
    ],
  });
  await agent.ready();
  const key = await keyOf(agent);
  await rig.etcd.ctl("put", `${SUBNETS}/${key}`, THEIRS);
  await agent.process.untilLogged(/"subnet-change\.done"/, WAIT_MS);
  const { FLANNEL_SUBNET } = await agent.subnetEnv();
  const next = (await keyOf(agent)).replace("-", "/");
  assertEquals(
    (await Deno.readTextFile(out)).trim(),
    `${key.replace("-", "/")} ${next} ${FLANNEL_SUBNET}`,
  );
  assertEquals(agent.process.exitCode, undefined);
});

Deno.test("--on-subnet-change=continue: another host's key is a conflict, and the agent goes on with another subnet", async () => {
  await using rig = await makeRig();
  const agent = await rig.startAgent(rig.host(0));
  await agent.ready();
  const key = await keyOf(agent);
  await rig.etcd.ctl("put", `${SUBNETS}/${key}`, THEIRS);
  await eventually(
    "another subnet in the files",
    () => keyOf(agent),
    (now) => now !== key,
    WAIT_MS,
  );
  assertMatch(agent.process.log(), /"lease\.conflict"/);
  assertMatch(agent.process.log(), /Docker must be restarted/);
  const kept = await rig.etcd.ctl(
    "get",
    "--print-value-only",
    `${SUBNETS}/${key}`,
  );
  assertEquals(kept.trim(), THEIRS, "no host fights for it");
  assertEquals((await leaseOf(agent))!.state, "held");
});

Deno.test("an etcd whose name no resolver answers for is a matter of DNS, said once, until it does", async () => {
  await using rig = await makeRig();
  const host = rig.host(0);
  const names = `${rig.directory}/hosts`;
  const resolver = `${rig.directory}/resolv.conf`;
  await Deno.writeTextFile(names, "127.0.0.1 localhost\n");
  // The switch drops what is sent there: no answer and no refusal.
  await Deno.writeTextFile(resolver, "nameserver 192.0.2.1\n");
  await rig.switch.run(
    ["iptables", "-I", "INPUT", "-p", "udp", "--dport", "53", "-j", "DROP"],
  );
  const agent = await rig.startAgent(host, {
    etcdEndpoints: "http://etcd.example.net:2379",
    prepare: [
      `mount --bind ${names} /etc/hosts`,
      `mount --bind ${resolver} /etc/resolv.conf`,
    ],
  });
  const isTold = () =>
    agent.process.log().match(/"event":"agent\.waiting"/g)?.length ?? 0;
  await agent.process.untilLogged(/"registry\.dns"/, WAIT_MS);
  assertMatch(agent.process.log(), /etcd\.example\.net/);
  // Long enough for several attempts.
  await delay(15_000);
  assertEquals(isTold(), 1);
  await Deno.writeTextFile(
    names,
    "127.0.0.1 localhost\n192.0.2.1 etcd.example.net\n",
  );
  await agent.ready(60_000);
});
