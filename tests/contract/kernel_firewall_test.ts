import { assert, assertEquals, assertRejects } from "@std/assert";
import { delay } from "@std/async/delay";
import { FirewallRefusedError } from "../../host/firewall/errors.ts";
import type { Firewall } from "../../host/firewall/firewall.ts";
import { IptablesFirewall } from "../../host/firewall/iptables_firewall.ts";
import { NftablesFirewall } from "../../host/firewall/nftables_firewall.ts";
import { KernelNftablesMonitor } from "../../linux/netlink/kernel_nftables_monitor.ts";
import { HostCommandRunner } from "../../linux/command.ts";
import { RULES, SECOND, testFirewall } from "./firewall_contract.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";

const runner = new HostCommandRunner();
const signal = new AbortController().signal;

/** A tool of this machine, and how a test looks past it at the kernel. */
interface Tool {
  readonly name: string;
  make(): Firewall;
  /** Runs the tool itself. */
  run(script: string): string;
}

const sh = (script: string) => runSync("sh", ["-euc", script]);

const iptablesTool = (command: string): Tool => ({
  name: command,
  make: () => new IptablesFirewall({ runner }, { command }),
  run: (script) => sh(script.replaceAll("iptables", command)),
});

const IPTABLES_TOOLS = [
  iptablesTool("iptables-nft"),
  iptablesTool("iptables-legacy"),
];
const NFTABLES_TOOL: Tool = {
  name: "nft",
  make: () => new NftablesFirewall({ runner }),
  run: sh,
};

/** Both kinds of iptables' rules and all of nftables', gone. */
function emptyFirewall(): void {
  sh(`nft flush ruleset
    printf '*nat\\nCOMMIT\\n*filter\\nCOMMIT\\n' | iptables-legacy-restore
    iptables-legacy -P FORWARD ACCEPT`);
}

function onEmptyHost(tool: Tool): Firewall {
  emptyFirewall();
  return tool.make();
}

const EXPECTED =
  `-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
-A FLANNEL-FWD -s 10.1.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
-A FLANNEL-FWD -d 10.1.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG -s 10.1.27.0/24 -d 10.1.0.0/16 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG -s 10.1.0.0/16 -d 10.1.27.0/24 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG ! -s 10.1.0.0/16 -d 10.1.27.0/24 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG -s 10.1.0.0/16 ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully
-A FLANNEL-POSTRTG ! -s 10.1.0.0/16 -d 10.1.0.0/16 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully
`;

function testReports(tool: Tool, areReported: boolean): void {
  Deno.test(
    `${tool.name}: the kernel ${
      areReported ? "reports" : "does not report"
    } that rules change`,
    async () => {
      const firewall = onEmptyHost(tool);
      assertEquals(await firewall.reportsChanges(signal), areReported);
      using monitor = new KernelNftablesMonitor();
      const ending = new AbortController();
      const reports = monitor.changes(ending.signal);
      const first = reports.next();
      await firewall.ensure(RULES, signal);
      const pause = delay(500).then(() => ending.abort());
      assertEquals((await first).done !== true, areReported);
      await pause;
      await reports.return(undefined);
    },
  );
}

function testIptables(tool: Tool): void {
  const save = () => tool.run("iptables-save | grep ^-A || true");
  const test = (
    sentence: string,
    body: (firewall: Firewall) => Promise<void>,
  ) => Deno.test(`${tool.name}: ${sentence}`, () => body(onEmptyHost(tool)));

  test("the rules are flannel's, word for word", async (firewall) => {
    await firewall.ensure(RULES, signal);
    assertEquals(save(), EXPECTED);
  });

  test("rules of others stay where they are, also when ours are removed", async (firewall) => {
    const foreign =
      "iptables -t nat -A POSTROUTING -s 10.9.0.0/16 -j MASQUERADE\n" +
      "iptables -A FORWARD -i docker0 -j DROP\n" +
      "iptables -N MINE; iptables -A MINE -j RETURN";
    tool.run(foreign);
    const before = save();
    await firewall.ensure(RULES, signal);
    for (const line of before.trim().split("\n")) assert(save().includes(line));
    await firewall.remove({}, signal);
    assertEquals(save(), before);
    assertEquals(tool.run("iptables-save | grep -c FLANNEL || true"), "0\n");
  });

  test("a removed rule, a wrong order, a lost jump and a flushed chain are restored", async (firewall) => {
    await firewall.ensure(RULES, signal);
    const damages = [
      "iptables -t nat -D FLANNEL-POSTRTG 3",
      "iptables -t nat -D FLANNEL-POSTRTG 2; iptables -t nat -A FLANNEL-POSTRTG " +
      "-s 10.1.27.0/24 -d 10.1.0.0/16 -m comment --comment 'flanneld masq' -j RETURN",
      "iptables -D FORWARD 1",
      "iptables -t nat -F; iptables -F",
      "iptables -t nat -F; iptables -t nat -X; iptables -F; iptables -X",
    ];
    for (const damage of damages) {
      tool.run(damage);
      assert((await firewall.check(RULES, signal)).length > 0, damage);
      await firewall.ensure(RULES, signal);
      assertEquals(save(), EXPECTED, damage);
    }
  });

  test("a jump that is there twice is made one", async (firewall) => {
    await firewall.ensure(RULES, signal);
    tool.run(
      "iptables -A FORWARD -m comment --comment 'flanneld forward' -j FLANNEL-FWD",
    );
    await firewall.ensure(RULES, signal);
    assertEquals(save(), EXPECTED);
  });

  test("what flannel left for the same network is taken over", async (firewall) => {
    tool.run(
      `iptables -t nat -N FLANNEL-POSTRTG
       iptables -t nat -A POSTROUTING -m comment --comment 'flanneld masq' -j FLANNEL-POSTRTG
       iptables -t nat -A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment 'flanneld masq' -j RETURN
       iptables -t nat -A FLANNEL-POSTRTG -s 10.1.9.0/24 -d 10.1.0.0/16 -m comment --comment 'flanneld masq' -j RETURN`,
    );
    await firewall.ensure(RULES, signal);
    assertEquals(save(), EXPECTED);
  });

  test("a refusal says what the tool said", async (firewall) => {
    // What it reads is spoilt on the way.
    const broken = new IptablesFirewall({
      runner: {
        run: (command, words, options) =>
          runner.run(command, words, {
            ...options,
            ...(options.stdin &&
              { stdin: options.stdin.replace("COMMIT", "X") }),
          }),
      },
    }, { command: tool.name });
    const error = await assertRejects(
      () => broken.ensure(RULES, signal),
      FirewallRefusedError,
      `${tool.name}-restore`,
    );
    assertEquals(error.code, "firewall.refused");
    assertEquals(save(), "");
    assert((await firewall.check(RULES, signal)).length > 0);
  });
}

function testNftables(tool: Tool): void {
  const list = () => tool.run("nft list ruleset");
  const test = (
    sentence: string,
    body: (firewall: Firewall) => Promise<void>,
  ) => Deno.test(`${tool.name}: ${sentence}`, () => body(onEmptyHost(tool)));

  test("the rules are flannel's, in its table", async (firewall) => {
    await firewall.ensure(RULES, signal);
    assertEquals(
      list().replace(/ comment "[^"]*"/g, ""),
      `table ip flannel-ipv4 {
	chain postrtg {
		type nat hook postrouting priority srcnat; policy accept;
		meta mark & 0x00004000 == 0x00004000 return
		ip saddr 10.1.27.0/24 ip daddr 10.1.0.0/16 return
		ip saddr 10.1.0.0/16 ip daddr 10.1.27.0/24 return
		ip saddr != 10.1.0.0/16 ip daddr 10.1.27.0/24 return
		ip saddr 10.1.0.0/16 ip daddr != 224.0.0.0/4 masquerade fully-random
		ip saddr != 10.1.0.0/16 ip daddr 10.1.0.0/16 masquerade fully-random
	}

	chain forward {
		type filter hook forward priority filter; policy accept;
		ip saddr 10.1.0.0/16 accept
		ip daddr 10.1.0.0/16 accept
	}
}
`,
    );
  });

  test("tables of others stay, and other chains in flannel's table", async (firewall) => {
    tool.run("nft add table ip mine; nft add chain ip mine c");
    const before = list();
    await firewall.ensure(RULES, signal);
    await firewall.remove({}, signal);
    assertEquals(list(), before);
    tool.run("nft add table ip flannel-ipv4; nft add chain ip flannel-ipv4 c");
    const withChain = list();
    await firewall.ensure(RULES, signal);
    await firewall.remove({}, signal);
    assertEquals(list(), withChain);
  });

  test("a removed rule, a wrong order and a flushed chain are restored", async (firewall) => {
    await firewall.ensure(RULES, signal);
    const intact = list();
    const handleOf = "$(nft -a list chain ip flannel-ipv4 postrtg | " +
      "sed -n '/10.1.27.0.24 ip daddr/s/.*handle //p')";
    const damages = [
      `nft delete rule ip flannel-ipv4 postrtg handle ${handleOf}`,
      `nft flush chain ip flannel-ipv4 postrtg`,
      `nft delete table ip flannel-ipv4`,
      `nft insert rule ip flannel-ipv4 postrtg ip daddr 10.1.0.0/16 return`,
    ];
    for (const damage of damages) {
      tool.run(damage);
      assert((await firewall.check(RULES, signal)).length > 0, damage);
      await firewall.ensure(RULES, signal);
      assertEquals(list(), intact, damage);
    }
  });

  test("a refusal says what nft said", async () => {
    const broken = new NftablesFirewall({
      runner: {
        run: (command, words, options) =>
          runner.run(command, words, {
            ...options,
            ...(options.stdin && { stdin: options.stdin + "nonsense\n" }),
          }),
      },
    });
    await assertRejects(
      () => broken.ensure(RULES, signal),
      FirewallRefusedError,
      "nft -f - ended with 1",
    );
    assertEquals(list(), "");
  });
}

/** A container on this host and a machine outside, each in a namespace. */
interface Neighbours extends Disposable {
  /** Whether `from` gets an answer from an address. */
  pings(from: "container" | "outside", address: string): boolean;
  in(where: "container" | "outside", script: string): string;
}

const HOST_ADDRESS = "198.51.100.1";
const CONTAINER_ADDRESS = "10.1.27.2";
const OUTSIDE_ADDRESS = "198.51.100.2";

function makeNeighbours(): Neighbours {
  const holders = { container: hold(), outside: hold() };
  const inside = (where: "container" | "outside", script: string) =>
    runSync("nsenter", [
      `--target=${holders[where].pid}`,
      "--net",
      "sh",
      "-euc",
      script,
    ]);
  const connect = (
    where: "container" | "outside",
    host: string,
    peer: string,
  ) => {
    sh(
      `ip link add ${where} type veth peer name eth0 netns ${holders[where].pid}
      ip address add ${host} dev ${where}; ip link set ${where} up`,
    );
    inside(where, `ip address add ${peer} dev eth0; ip link set eth0 up`);
  };
  connect("container", "10.1.27.1/24", `${CONTAINER_ADDRESS}/24`);
  connect("outside", `${HOST_ADDRESS}/24`, `${OUTSIDE_ADDRESS}/24`);
  inside("container", "ip route add default via 10.1.27.1");
  sh("echo 1 >/proc/sys/net/ipv4/ip_forward");
  return {
    in: inside,
    pings(from, address) {
      try {
        inside(from, `timeout 0.5 busybox ping -c 1 ${address}`);
        return true;
      } catch {
        return false;
      }
    },
    [Symbol.dispose]() {
      for (const where of ["container", "outside"] as const) {
        sh(`ip link delete ${where}`);
        holders[where].kill();
      }
    },
  };
}

/** A process that does nothing, in a network namespace of its own. */
function hold(): { pid: number; kill(): void } {
  const child = new Deno.Command("unshare", {
    args: ["--net", "sleep", "60"],
  }).spawn();
  child.unref();
  const own = Deno.readLinkSync("/proc/self/ns/net");
  while (Deno.readLinkSync(`/proc/${child.pid}/ns/net`) === own) {
    sh("sleep 0.01");
  }
  return { pid: child.pid, kill: () => child.kill("SIGKILL") };
}

function testPackets(tool: Tool): void {
  Deno.test({
    name:
      `${tool.name}: containers reach the outside by the host's address, and their clients keep theirs`,
    // The processes that hold the neighbours' namespaces are killed, not awaited.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const firewall = onEmptyHost(tool);
      using neighbours = makeNeighbours();
      assert(!neighbours.pings("container", OUTSIDE_ADDRESS));
      await firewall.ensure(RULES, signal);
      assert(neighbours.pings("container", OUTSIDE_ADDRESS));
      // The outside that knows the way is seen as what it is.
      neighbours.in("outside", `ip route add 10.1.0.0/16 via ${HOST_ADDRESS}`);
      neighbours.in(
        "container",
        `nft -f - <<X
add table ip t
add chain ip t c { type filter hook input priority 0; policy drop; }
add rule ip t c ip saddr ${OUTSIDE_ADDRESS} accept
X`,
      );
      assert(neighbours.pings("outside", CONTAINER_ADDRESS));
    },
  });
}

function testForwardPolicy(tool: Tool): void {
  Deno.test({
    name:
      `${tool.name}: Docker's FORWARD policy of DROP does not stop the overlay's packets`,
    // The processes that hold the neighbours' namespaces are killed, not awaited.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const firewall = onEmptyHost(tool);
      using neighbours = makeNeighbours();
      neighbours.in("outside", `ip route add 10.1.0.0/16 via ${HOST_ADDRESS}`);
      tool.run("iptables -P FORWARD DROP");
      assert(!neighbours.pings("container", OUTSIDE_ADDRESS));
      await firewall.ensure({ ...RULES, masquerade: false }, signal);
      assert(neighbours.pings("container", OUTSIDE_ADDRESS));
      assert(neighbours.pings("outside", CONTAINER_ADDRESS));
    },
  });
}

testInNamespace("kernel firewalls", import.meta.url, () => {
  // First of all: in a namespace that has been used, iptables-legacy's tables
  // stay for ever.
  for (const tool of IPTABLES_TOOLS) {
    Deno.test(`${tool.name}: a table that is not needed is not loaded`, async () => {
      const neither = { ...RULES, masquerade: false, forward: false };
      await tool.make().ensure(neither, signal);
      assertEquals(tool.run("iptables-save"), "");
    });
  }
  for (const tool of [...IPTABLES_TOOLS, NFTABLES_TOOL]) {
    testFirewall(tool.name, () => onEmptyHost(tool));
    testPackets(tool);
  }
  for (const tool of [...IPTABLES_TOOLS, NFTABLES_TOOL]) {
    testReports(tool, tool.name !== "iptables-legacy");
  }
  for (const tool of IPTABLES_TOOLS) {
    testIptables(tool);
    testForwardPolicy(tool);
  }
  testNftables(NFTABLES_TOOL);
  Deno.test("the second agent's rules are flannel's as well", async () => {
    const firewall = onEmptyHost(IPTABLES_TOOLS[0]!);
    await firewall.ensure(RULES, signal);
    await firewall.ensure(SECOND, signal);
    const rules = sh("iptables-nft-save | grep '^-A FLANNEL-POSTRTG'").split(
      "\n",
    );
    // One rule of both, then five of each.
    assertEquals(rules.filter((rule) => rule !== "").length, 11);
    assert(rules[0]!.includes("--mark 0x4000/0x4000"));
  });
});
