import { assert, assertEquals } from "@std/assert";
import type { FirewallRules, RuleSet } from "../../host/firewall/firewall.ts";
import { IptablesDockerPass } from "../../host/firewall/iptables_docker_pass.ts";
import { NftablesDockerMark } from "../../host/firewall/nftables_docker_mark.ts";
import { HostCommandRunner } from "../../linux/command.ts";
import { KernelNftablesMonitor } from "../../linux/netlink/kernel_nftables_monitor.ts";
import { docker29Rules } from "../support/docker29_rules.ts";
import { RULES } from "./firewall_contract.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";

const runner = new HostCommandRunner();
const signal = new AbortController().signal;
const PASSED: FirewallRules = { ...RULES, overlayDevice: "flannel0" };
/** With peers that are reached without encapsulation. */
const DIRECT: FirewallRules = { ...PASSED, directDevices: ["eth0"] };

const sh = (script: string) => runSync("sh", ["-euc", script]);

/** Namespaces beside this one: another host, a container, and a stranger. */
const REMOTE = `loden-dd-remote-${Deno.pid}`;
const CONTAINER = `loden-dd-container-${Deno.pid}`;
const STRANGER = `loden-dd-stranger-${Deno.pid}`;
const CONTAINER_ADDRESS = "10.1.27.2";
/** The stranger is the gateway of one peer's subnet, and pretends much else. */
const DIRECT_PEER = "10.1.8.2";
const FORGED = {
  "the stranger's own address": "192.0.2.2",
  "a peer that is routed by another device": "10.1.9.2",
  "no peer": "10.1.66.2",
  "this host": "10.1.27.3",
};

/**
 * This namespace becomes a Docker host: a container at 10.1.27.2 on docker0,
 * the overlay behind flannel0, and a neighbour on eth0 who has a route to the
 * container, which is what Docker 28 defends against.
 */
function makeHost(): void {
  removeHost();
  sh(`for each in ${REMOTE} ${CONTAINER} ${STRANGER}; do
      ip netns add $each
      ip -n $each link set lo up
    done
    echo 1 > /proc/sys/net/ipv4/ip_forward
    ip link add flannel0 address 02:00:00:00:00:01 type veth \\
      peer o0 netns ${REMOTE} address 02:00:00:00:00:01
    ip link set flannel0 arp off up
    ip addr add 10.1.27.0/32 dev flannel0
    ip route add 10.1.0.0/16 dev flannel0
    ip -n ${REMOTE} link set o0 arp off up
    ip -n ${REMOTE} addr add 10.1.9.2/32 dev o0
    ip -n ${REMOTE} route add 10.1.27.0/24 dev o0
    ip link add docker0 type bridge
    ip addr add 10.1.27.1/24 dev docker0
    ip link add v0 type veth peer eth0 netns ${CONTAINER}
    ip link set v0 master docker0 up
    ip link set docker0 up
    ip -n ${CONTAINER} link set eth0 up
    ip -n ${CONTAINER} addr add 10.1.27.2/24 dev eth0
    ip -n ${CONTAINER} route add default via 10.1.27.1
    ip link add eth0 type veth peer s0 netns ${STRANGER}
    ip addr add 192.0.2.1/24 dev eth0
    ip link set eth0 up
    ip -n ${STRANGER} link set s0 up
    ip -n ${STRANGER} addr add 192.0.2.2/24 dev s0
    ip -n ${STRANGER} route add 10.1.27.0/24 via 192.0.2.1
    ip route add 10.1.8.0/24 via 192.0.2.2 dev eth0
    ip route replace unreachable 10.1.66.0/24
    for each in ${DIRECT_PEER} 10.1.9.2 10.1.66.2 10.1.27.3; do
      ip -n ${STRANGER} addr add $each/32 dev lo
    done`);
}

function removeHost(): void {
  for (const each of [REMOTE, CONTAINER, STRANGER]) {
    sh(`ip netns del ${each} 2>/dev/null || true`);
  }
  for (const device of ["flannel0", "docker0", "v0", "eth0"]) {
    sh(`ip link del ${device} 2>/dev/null || true`);
  }
  sh(`nft flush ruleset
    printf '*nat\\nCOMMIT\\n*filter\\nCOMMIT\\n' | iptables-legacy-restore
    iptables-legacy -P FORWARD ACCEPT
    iptables-legacy-save | grep -q '^.raw' && iptables-legacy -t raw -F || true
    iptables-legacy-save | grep -q LODEN && iptables-legacy -t raw -X || true`);
}

function canPing(namespace: string, address: string): boolean {
  const { success } = new Deno.Command("ip", {
    args: ["netns", "exec", namespace, "ping", "-c1", "-W1", "-q", address],
    stdout: "null",
    stderr: "null",
  }).outputSync();
  return success;
}

/** Whether the stranger's ping arrives: most answers would go elsewhere. */
function arrives(source: string): boolean {
  const before = echoRequests();
  new Deno.Command("ip", {
    args: ["netns", "exec", STRANGER]
      .concat(["ping", "-c1", "-W0.2", "-q", "-I", source, CONTAINER_ADDRESS]),
    stdout: "null",
    stderr: "null",
  }).outputSync();
  return echoRequests() > before;
}

function echoRequests(): number {
  const text = sh(`ip netns exec ${CONTAINER} cat /proc/net/snmp`);
  const [names, values] = text.split("\n")
    .filter((line) => line.startsWith("Icmp: "))
    .map((line) => line.split(" "));
  return Number(values![names!.indexOf("InEchos")]);
}

/** Only what a route leads back to by that device comes in without encapsulation. */
function assertDirect(): void {
  assert(canPing(REMOTE, CONTAINER_ADDRESS), "the overlay's packets");
  assert(arrives(DIRECT_PEER), "the peer on the link");
  for (const [whose, source] of Object.entries(FORGED)) {
    assert(!arrives(source), `${whose}: ${source}`);
  }
}

/** The rules of Docker 28.2 for docker0 and the container, as its own docs show. */
const docker28 = (iptables: string) =>
  `iptables -P FORWARD DROP
   iptables -N DOCKER; iptables -N DOCKER-FORWARD; iptables -N DOCKER-USER
   iptables -N DOCKER-BRIDGE; iptables -N DOCKER-CT
   iptables -A FORWARD -j DOCKER-USER
   iptables -A FORWARD -j DOCKER-FORWARD
   iptables -A DOCKER-FORWARD -j DOCKER-CT
   iptables -A DOCKER-FORWARD -j DOCKER-BRIDGE
   iptables -A DOCKER-FORWARD -i docker0 -j ACCEPT
   iptables -A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
   iptables -A DOCKER-BRIDGE -o docker0 -j DOCKER
   iptables -A DOCKER ! -i docker0 -o docker0 -j DROP
   iptables -t raw -A PREROUTING -d 10.1.27.2 ! -i docker0 -j DROP`
    .replaceAll("iptables ", `${iptables} `);

/** Runs `body` on such a host, which goes away whatever becomes of it. */
async function onHost(body: () => Promise<void>): Promise<void> {
  try {
    makeHost();
    await body();
  } finally {
    removeHost();
  }
}

function testDocker28(command: string): void {
  const make = () => new IptablesDockerPass({ runner }, { command });
  const test = (sentence: string, body: (pass: RuleSet) => Promise<void>) =>
    Deno.test(`${command}: ${sentence}`, () => onHost(() => body(make())));

  // For iptables on nf_tables a real Docker shows it: docker28_test.ts.
  if (command === "iptables-legacy") {
    test("a container is reached over the overlay despite Docker 28's drops, and by no other route", async (pass) => {
      assert(canPing(REMOTE, "10.1.27.2"), "the way there is right");
      sh(docker28(command));
      assert(!canPing(REMOTE, "10.1.27.2"), "Docker drops");
      assert((await pass.ensure(PASSED, signal)).length > 0);
      assert(canPing(REMOTE, "10.1.27.2"));
      assert(canPing(CONTAINER, "10.1.9.2"), "the answer comes back");
      assert(!canPing(STRANGER, "10.1.27.2"), "Docker's protection stays");
      assertEquals(await pass.check(PASSED, signal), []);
      assertEquals((await pass.list(signal)).length, 4);
      await pass.remove({}, signal);
      assert(!canPing(REMOTE, "10.1.27.2"));
      assertEquals(await pass.list(signal), []);
    });
  }

  test("a peer on the link is let in without encapsulation, and others who send from there are not", async (pass) => {
    sh(docker28(command));
    await pass.ensure(PASSED, signal);
    assert(!arrives(DIRECT_PEER), "not asked for");
    await pass.ensure(DIRECT, signal);
    assertDirect();
    assertEquals(await pass.check(DIRECT, signal), []);
    const kept = { ...PASSED, directDevices: "kept" } as const;
    assertEquals(await pass.check(kept, signal), []);
    // Docker 28.0 leaves ports that are not published to the table filter.
    sh(`${command} -t raw -D PREROUTING -d 10.1.27.2 ! -i docker0 -j DROP`);
    assertDirect();
    await pass.ensure(PASSED, signal);
    assert(!arrives(DIRECT_PEER));
  });

  test("an administrator's drop in DOCKER-USER goes on dropping", async (pass) => {
    sh(docker28(command));
    sh(`${command} -A DOCKER-USER -s 10.1.9.2 -j DROP`);
    await pass.ensure(PASSED, signal);
    assert(!canPing(REMOTE, "10.1.27.2"));
    sh(`${command} -D DOCKER-USER -s 10.1.9.2 -j DROP`);
    assert(canPing(REMOTE, "10.1.27.2"));
  });

  test("follows a Docker that restarts, and a lost call", async (pass) => {
    sh(docker28(command));
    await pass.ensure(PASSED, signal);
    for (
      const damage of [
        `${command} -t raw -F PREROUTING
         ${command} -t raw -A PREROUTING -d 10.1.27.2 ! -i docker0 -j DROP`,
        `${command} -F DOCKER-USER; ${command} -A DOCKER-USER -j RETURN`,
        `${command} -t raw -I PREROUTING -d 10.1.27.2 ! -i docker0 -j DROP`,
        `${command} -F LODEN-DOCKER`,
      ]
    ) {
      sh(damage);
      assert((await pass.check(PASSED, signal)).length > 0, damage);
      await pass.ensure(PASSED, signal);
      assertEquals(await pass.check(PASSED, signal), [], damage);
      assert(canPing(REMOTE, "10.1.27.2"), damage);
    }
  });
}

function testDocker29(): void {
  const make = () => new NftablesDockerMark({ runner });
  const test = (sentence: string, body: (mark: RuleSet) => Promise<void>) =>
    Deno.test(`nftables: ${sentence}`, () => onHost(() => body(make())));

  test("the mark that Docker accepts lets only the overlay in", async (mark) => {
    sh(docker29Rules({ container: CONTAINER_ADDRESS, isTold: true }));
    assert(!canPing(REMOTE, "10.1.27.2"));
    await mark.ensure(PASSED, signal);
    assert(canPing(REMOTE, "10.1.27.2"));
    assert(!canPing(STRANGER, "10.1.27.2"));
    assertEquals(await mark.check(PASSED, signal), []);
    assertEquals((await mark.list(signal)).length, 1);
    await mark.remove({ network: PASSED.network }, signal);
    assert(!canPing(REMOTE, "10.1.27.2"));
    assertEquals(await mark.list(signal), []);
  });

  test("the mark is for peers on the link too, and for no other who sends from there", async (mark) => {
    sh(docker29Rules({ container: CONTAINER_ADDRESS, isTold: true }));
    await mark.ensure(DIRECT, signal);
    assertDirect();
    assertEquals(await mark.check(DIRECT, signal), []);
    const kept = { ...PASSED, directDevices: "kept" } as const;
    assertEquals(await mark.check(kept, signal), []);
    await mark.ensure(PASSED, signal);
    assert(!arrives(DIRECT_PEER));
  });

  test("a Docker without the option keeps dropping", async (mark) => {
    sh(docker29Rules({ container: CONTAINER_ADDRESS, isTold: false }));
    await mark.ensure(PASSED, signal);
    assert(!canPing(REMOTE, "10.1.27.2"));
  });

  test("two networks' marks live side by side", async (mark) => {
    sh(docker29Rules({ container: CONTAINER_ADDRESS, isTold: true }));
    const second = {
      ...PASSED,
      network: { address: PASSED.network.address + 0x10000, prefixLength: 16 },
    } as FirewallRules;
    await mark.ensure(PASSED, signal);
    await mark.ensure(second, signal);
    assertEquals(await mark.check(PASSED, signal), []);
    assertEquals((await mark.list(signal)).length, 2);
    await mark.remove({ network: PASSED.network }, signal);
    assertEquals(await mark.check(second, signal), []);
    assert(!canPing(REMOTE, "10.1.27.2"));
  });

  test("without Docker's table there is no mark", async (mark) => {
    assertEquals(await mark.ensure(PASSED, signal), []);
    sh(docker29Rules({ container: CONTAINER_ADDRESS, isTold: true }));
    await mark.ensure(PASSED, signal);
    sh("nft delete table ip docker-bridges");
    assert((await mark.ensure(PASSED, signal)).length > 0);
    assertEquals(await mark.list(signal), []);
  });
}

function testMonitor(): void {
  for (
    const [tool, change] of [
      ["nft", "nft add table ip t; nft delete table ip t"],
      ["iptables-nft", "iptables-nft -N T; iptables-nft -X T"],
    ] as const
  ) {
    Deno.test(`the kernel tells of what ${tool} changes`, async () => {
      const stop = new AbortController();
      using monitor = new KernelNftablesMonitor();
      // Before anybody waits: the socket keeps it.
      sh(change);
      for await (const _ of monitor.changes(stop.signal)) stop.abort();
      assert(stop.signal.aborted);
    });
  }
}

testInNamespace("docker's drops", import.meta.url, () => {
  testDocker28("iptables-nft");
  testDocker28("iptables-legacy");
  testDocker29();
  testMonitor();
});
