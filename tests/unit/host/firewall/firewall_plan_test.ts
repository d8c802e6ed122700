import { assert, assertEquals } from "@std/assert";
import {
  planIptables,
  planIptablesRemoval,
} from "../../../../host/firewall/iptables_plan.ts";
import { parseIptablesSave } from "../../../../host/firewall/iptables_text.ts";
import {
  planNftables,
  planNftablesRemoval,
} from "../../../../host/firewall/nftables_plan.ts";
import { parseNftTable } from "../../../../host/firewall/nftables_text.ts";
import { planRules } from "../../../../host/firewall/rule_plan.ts";
import { parseCidr } from "../../../../net/cidr.ts";

const network = parseCidr("10.1.0.0/16")!;
const plan = planRules({
  network,
  subnet: parseCidr("10.1.27.0/24")!,
  masquerade: false,
  forward: true,
  randomFully: false,
});
const target = { plan, randomFully: false, networks: [network], network };

Deno.test("iptables: one restore script does all of it", () => {
  const change = planIptables(parseIptablesSave(""), target);
  assertEquals(
    change.script,
    `*filter
:FLANNEL-FWD - [0:0]
-A FLANNEL-FWD -s 10.1.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
-A FLANNEL-FWD -d 10.1.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
COMMIT
`,
  );
  assertEquals(change.lines, [
    "filter: write chain FLANNEL-FWD, 2 rules (0 not of this network)",
    "filter: append the jump from FORWARD to FLANNEL-FWD",
  ]);
});

Deno.test("iptables: a removal unties the chain before it deletes it", () => {
  const tables = parseIptablesSave(`*filter
:FORWARD ACCEPT [0:0]
:FLANNEL-FWD - [0:0]
:MINE - [0:0]
-A FORWARD -i eth0 -j FLANNEL-FWD
-A MINE -g FLANNEL-FWD
-A FLANNEL-FWD -j ACCEPT
COMMIT
`);
  assertEquals(
    planIptablesRemoval(tables).script,
    `*filter
:FLANNEL-FWD - [0:0]
-D FORWARD -i eth0 -j FLANNEL-FWD
-D MINE -g FLANNEL-FWD
-X FLANNEL-FWD
COMMIT
`,
  );
});

Deno.test("iptables: rules of unknown origin in flannel's chain are kept", () => {
  const tables = parseIptablesSave(`*filter
:FORWARD ACCEPT [0:0]
:FLANNEL-FWD - [0:0]
-A FLANNEL-FWD -i eth0 -j DROP
COMMIT
`);
  const { script } = planIptables(tables, target);
  assert(
    script.includes("\n-A FLANNEL-FWD -i eth0 -j DROP\n-A FLANNEL-FWD -s"),
  );
});

Deno.test("nftables: one transaction makes table, chain and rules", () => {
  const { script } = planNftables(undefined, target);
  assertEquals(
    script.replace(/ [0-9a-f]{8}"/g, ` HASH"`),
    `add table ip flannel-ipv4
add chain ip flannel-ipv4 forward { type filter hook forward priority 0; policy accept; }
add rule ip flannel-ipv4 forward ip saddr 10.1.0.0/16 accept comment "flanneld forward 10.1.0.0/16 1 HASH"
add rule ip flannel-ipv4 forward ip daddr 10.1.0.0/16 accept comment "flanneld forward 10.1.0.0/16 2 HASH"
`,
  );
});

Deno.test("nftables: flannel's own rules, which have no comment, go", () => {
  const table = parseNftTable(`table ip flannel-ipv4 { # handle 5
	comment "rules for flannel-ipv4"
	chain forward { # handle 1
		comment "chain to accept flannel traffic"
		type filter hook forward priority filter; policy accept;
		ip saddr 10.1.0.0/16 accept # handle 3
		ip daddr 10.9.0.0/16 accept comment "flanneld forward 10.9.0.0/16 2 abc" # handle 4
	}
}
`);
  const { script } = planNftables(table, target);
  assert(script.includes("delete rule ip flannel-ipv4 forward handle 3\n"));
  assert(!script.includes("handle 4"));
});

Deno.test("nftables: comments fit into the kernel's 128 bytes", () => {
  const longest = parseCidr("255.255.255.248/29")!;
  const { script } = planNftables(undefined, {
    ...target,
    network: longest,
    plan: planRules({
      network: longest,
      subnet: longest,
      masquerade: true,
      forward: true,
      randomFully: true,
    }),
  });
  for (const [, comment] of script.matchAll(/comment "([^"]*)"/g)) {
    assert(comment!.length < 100, comment);
  }
});

Deno.test("nothing there and nothing wanted is no change", () => {
  const none = { ...target, plan: { masquerade: [], forward: [] } };
  assertEquals(planIptables(new Map(), none).script, "");
  assertEquals(planNftables(undefined, none).script, "");
  assertEquals(planIptablesRemoval(new Map()).script, "");
  assertEquals(planNftablesRemoval(undefined).script, "");
});
