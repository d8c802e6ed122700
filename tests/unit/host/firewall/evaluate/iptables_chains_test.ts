import { assertEquals } from "@std/assert";
import { passHook } from "../../../../../host/firewall/evaluate/chains.ts";
import { iptablesBaseChains } from "../../../../../host/firewall/evaluate/iptables_chains.ts";
import { freshState } from "../../../../../host/firewall/evaluate/test_packet.ts";
import {
  DOCKER28,
  DOCKER28_WITH_LODEN,
} from "../../../../support/rule_sets/rule_sets.ts";
import { arriving, verdictAt, verdictOf } from "./packets.ts";

Deno.test("Docker 28 drops what a peer sends to a container, before the route", () => {
  const chains = iptablesBaseChains(DOCKER28, "iptables");
  assertEquals(verdictAt(chains, arriving("prerouting")), {
    verdict: "drop",
    by: {
      table: "iptables raw",
      chain: "PREROUTING",
      rule: "-d 10.1.27.2/32 ! -i docker0 -j DROP",
    },
  });
});

Deno.test("Docker 28 drops what a peer sends to a port that is not published, behind the route", () => {
  const chains = iptablesBaseChains(DOCKER28, "iptables");
  const packet = arriving("forward", { protocol: 6, port: 81 });
  assertEquals(verdictAt(chains, packet), {
    verdict: "drop",
    by: {
      table: "iptables filter",
      chain: "DOCKER",
      rule: "! -i docker0 -o docker0 -j DROP",
    },
  });
  assertEquals(
    verdictOf(chains, arriving("forward", { protocol: 6, port: 80 })),
    "accept",
  );
});

Deno.test("whether a packet for an unknown port is dropped cannot be told", () => {
  const chains = iptablesBaseChains(DOCKER28, "iptables");
  const packet = arriving("forward", { protocol: 6, port: undefined });
  assertEquals(verdictOf(chains, packet), "unknown");
});

Deno.test("Loden's rules let packets of the overlay pass Docker's drops", () => {
  const chains = iptablesBaseChains(DOCKER28_WITH_LODEN, "iptables");
  for (const hook of ["prerouting", "forward"] as const) {
    assertEquals(verdictOf(chains, arriving(hook)), "accept");
  }
});

Deno.test("Loden's rules do not let strangers pass Docker's drops", () => {
  const chains = iptablesBaseChains(DOCKER28_WITH_LODEN, "iptables");
  const packet = { arrivesOn: "eth0", source: "192.0.2.99" };
  for (const hook of ["prerouting", "forward"] as const) {
    assertEquals(verdictOf(chains, arriving(hook, packet)), "drop");
  }
});

Deno.test("the policy decides about packets that no rule matches", () => {
  const policy = (word: string) =>
    iptablesBaseChains(`*filter\n:FORWARD ${word} [0:0]\nCOMMIT\n`, "iptables");
  assertEquals(verdictOf(policy("ACCEPT"), arriving("forward")), "accept");
  assertEquals(verdictAt(policy("DROP"), arriving("forward")), {
    verdict: "drop",
    by: { table: "iptables filter", chain: "FORWARD", rule: "policy DROP" },
  });
});

/** The verdict of a chain FORWARD with these rules and the policy ACCEPT. */
function forward(
  rules: readonly string[],
  packet: Parameters<typeof arriving>[1] = {},
) {
  const chains = rules.map((rule) => /^-A (\S+)/.exec(rule)![1])
    .filter((name) => name !== "FORWARD");
  const text = ["*filter", ":FORWARD ACCEPT [0:0]"]
    .concat([...new Set(chains)].map((name) => `:${name} - [0:0]`), rules)
    .join("\n");
  return verdictOf(
    iptablesBaseChains(text, "iptables"),
    arriving("forward", packet),
  );
}

const CASES: readonly {
  readonly name: string;
  readonly rules: readonly string[];
  readonly packet?: Parameters<typeof arriving>[1];
  readonly verdict: "accept" | "drop" | "unknown";
}[] = [
  {
    name: "an unknown match that could drop",
    rules: ["-A FORWARD -m set --match-set evil src -j DROP"],
    verdict: "unknown",
  },
  {
    name: "an unknown match before a rule that drops anyway",
    rules: [
      "-A FORWARD -m set --match-set evil src -j DROP",
      "-A FORWARD -j DROP",
    ],
    verdict: "drop",
  },
  {
    name: "an unknown match that another condition excludes",
    rules: ["-A FORWARD -s 192.0.2.0/24 -m set --match-set evil src -j DROP"],
    verdict: "accept",
  },
  {
    name: "an unknown match that only logs",
    rules: ['-A FORWARD -m limit --limit 1/sec -j LOG --log-prefix "a b"'],
    verdict: "accept",
  },
  {
    name: "an unknown match that could accept before a drop",
    rules: [
      "-A FORWARD -m limit --limit 1/sec -j ACCEPT",
      "-A FORWARD -j DROP",
    ],
    verdict: "unknown",
  },
  {
    name: "a target that nobody knows",
    rules: ["-A FORWARD -j NFQUEUE --queue-num 1"],
    verdict: "unknown",
  },
  {
    name: "a chain that returns",
    rules: ["-A FORWARD -j X", "-A FORWARD -j DROP", "-A X -j RETURN"],
    verdict: "drop",
  },
  {
    name: "a chain that is gone to, whose end is the policy",
    rules: ["-A FORWARD -g X", "-A FORWARD -j DROP", "-A X -j LOG"],
    verdict: "accept",
  },
  {
    name: "a chain that is jumped to, whose end is the next rule",
    rules: ["-A FORWARD -j X", "-A FORWARD -j DROP", "-A X -j LOG"],
    verdict: "drop",
  },
  {
    name: "a call of which it cannot be told whether it happens",
    rules: ["-A FORWARD -m set --match-set a src -j X", "-A X -j DROP"],
    verdict: "unknown",
  },
  {
    name: "chains that call each other",
    rules: ["-A FORWARD -j X", "-A X -j Y", "-A Y -j X"],
    verdict: "unknown",
  },
  {
    name: "a mark that was set before",
    rules: [
      "-A FORWARD -j MARK --set-xmark 0x10/0x10",
      "-A FORWARD -m mark --mark 0x10/0x10 -j DROP",
    ],
    verdict: "drop",
  },
  {
    name: "a mark that was set perhaps",
    rules: [
      "-A FORWARD -m limit --limit 1/sec -j MARK --set-xmark 0x10/0x10",
      "-A FORWARD -m mark --mark 0x10/0x10 -j DROP",
    ],
    verdict: "unknown",
  },
  {
    name: "a mark of which a part is restored",
    rules: [
      "-A FORWARD -j MARK --set-xmark 0x11/0xff",
      "-A FORWARD -j CONNMARK --restore-mark --nfmask 0xf --ctmask 0xf",
      "-A FORWARD -m mark --mark 0x10/0xff -j DROP",
    ],
    verdict: "drop",
  },
  {
    name: "a mark of another kind",
    rules: ["-A FORWARD -m connmark --mark 0x10 -j DROP"],
    verdict: "unknown",
  },
  {
    name: "an established connection",
    rules: [
      "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
      "-A FORWARD -j REJECT --reject-with icmp-port-unreachable",
    ],
    verdict: "drop",
  },
  {
    name: "a packet that is not tracked",
    rules: [
      "-A FORWARD -j CT --notrack",
      "-A FORWARD -m conntrack --ctstate NEW -j DROP",
    ],
    verdict: "accept",
  },
  {
    name: "a device by the beginning of its name",
    rules: ["-A FORWARD -i flannel+ -j DROP"],
    verdict: "drop",
  },
  {
    name: "a port in a list",
    rules: ["-A FORWARD -p udp -m multiport --dports 53,8000:8100 -j DROP"],
    packet: { protocol: 17, port: 8050 },
    verdict: "drop",
  },
  {
    name: "a port of another protocol",
    rules: ["-A FORWARD -p tcp -m tcp --dport 53 -j DROP"],
    packet: { protocol: 17, port: 53 },
    verdict: "accept",
  },
  {
    name: "another protocol than the one that is excepted",
    rules: ["-A FORWARD ! -p tcp -j DROP"],
    packet: { protocol: 17, port: 53 },
    verdict: "drop",
  },
  {
    name: "an address of this host",
    rules: ["-A FORWARD -m addrtype --dst-type LOCAL -j DROP"],
    verdict: "accept",
  },
  {
    name: "an address type that is not known",
    rules: ["-A FORWARD -m addrtype --dst-type UNICAST -j DROP"],
    verdict: "unknown",
  },
  {
    name: "a source that is routed back",
    rules: ["-A FORWARD -m rpfilter --invert -j DROP"],
    verdict: "accept",
  },
  {
    name: "a source that is not routed back",
    rules: ["-A FORWARD -m rpfilter --invert -j DROP"],
    packet: { isSourceRouted: false },
    verdict: "drop",
  },
  {
    name: "an echo request",
    rules: ["-A FORWARD -p icmp -m icmp --icmp-type 8 -j DROP"],
    verdict: "drop",
  },
  {
    name: "a text in a comment that looks like a rule",
    rules: ['-A FORWARD -m comment --comment "x -j DROP" -j ACCEPT'],
    verdict: "accept",
  },
];

for (const { name, packet, rules, verdict } of CASES) {
  Deno.test(`iptables, ${name}: ${verdict}`, () => {
    assertEquals(forward(rules, packet), verdict);
  });
}

Deno.test("a mark that raw sets counts in filter", () => {
  const chains = iptablesBaseChains(
    `*raw
:PREROUTING ACCEPT [0:0]
-A PREROUTING -j MARK --set-xmark 0x4/0x4
COMMIT
*filter
:FORWARD ACCEPT [0:0]
-A FORWARD -m mark --mark 0x4/0x4 -j DROP
COMMIT
`,
    "iptables",
  );
  const state = freshState();
  passHook(chains, arriving("prerouting"), state);
  assertEquals(passHook(chains, arriving("forward"), state).verdict, "drop");
  assertEquals(verdictOf(chains, arriving("forward")), "accept");
});
