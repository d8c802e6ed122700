import { assertEquals } from "@std/assert";
import {
  isReady,
  parseTrace,
} from "../../../../../host/firewall/trace/parse_trace.ts";
import { TRACE } from "../../../../support/nft_trace.ts";

const OWN = "loden_explain_812";
const MARKED =
  `trace id 1 ip ${OWN} first packet: iif "docker0" ip saddr 10.1.5.2
trace id 1 ip ${OWN} first rule ip id 7 meta nftrace set 1 (verdict continue)`;

Deno.test("the rule that has dropped the packet is named", () => {
  assertEquals(parseTrace(TRACE, OWN), {
    kind: "dropped",
    by: {
      table: "nft ip filter",
      chain: "DOCKER-USER",
      rule: 'ip daddr 10.1.7.2 counter packets 1 bytes 84 drop comment "no"',
    },
  });
});

Deno.test("a policy of iptables is named as iptables does", () => {
  const lines = [
    MARKED,
    "trace id 1 ip filter FORWARD packet: iif docker0",
    "trace id 1 ip filter FORWARD rule counter jump A (verdict jump A)",
    "trace id 1 ip filter FORWARD policy drop ",
  ];
  assertEquals(parseTrace(lines.join("\n"), OWN), {
    kind: "dropped",
    by: { table: "iptables filter", chain: "FORWARD", rule: "policy DROP" },
  });
  const other = lines.join("\n").replaceAll(" ip filter ", " inet filter ");
  assertEquals(parseTrace(other, OWN), {
    kind: "dropped",
    by: { table: "nft inet filter", chain: "FORWARD", rule: "policy DROP" },
  });
});

Deno.test("a packet that reaches the last chain has left", () => {
  const text = `${MARKED}
trace id 1 ip filter FORWARD policy accept
trace id 1 ip ${OWN} last packet: oif "flannel0"
trace id 1 ip outer OUT policy drop`;
  assertEquals(parseTrace(text, OWN), { kind: "left" });
});

Deno.test("what no rule has dropped is lost behind the chains that it passed", () => {
  const text = `${MARKED}
trace id 1 ip raw PREROUTING policy accept
trace id 1 ip filter FORWARD rule ip daddr 10.1.7.2 accept (verdict accept)`;
  assertEquals(parseTrace(text, OWN), {
    kind: "lost",
    chains: ["ip raw PREROUTING", "ip filter FORWARD"],
  });
  assertEquals(parseTrace("", OWN), { kind: "lost", chains: [] });
});

Deno.test("packets that others trace do not count", () => {
  const text = `${MARKED}
trace id 2 ip filter FORWARD policy drop
trace id 2 ip other last packet: oif eth0
trace id 3 ip ${OWN} first packet: iif "docker0"
trace id 3 ip ${OWN} first policy accept
trace id 3 ip ${OWN} last packet: oif "eth0"
trace id 1 ip nat POSTROUTING rule comment "(verdict drop)" (verdict accept)`;
  assertEquals(parseTrace(text, OWN), {
    kind: "lost",
    chains: ["ip nat POSTROUTING"],
  });
});

Deno.test("a packet in the chain ready shows that nft prints, and is not the one that is followed", () => {
  const ready = `trace id 4 ip ${OWN} ready packet: oif "lo" ip saddr 127.0.0.1
trace id 4 ip ${OWN} ready unknown rule handle 6 (verdict drop)`;
  assertEquals(isReady(ready, OWN), true);
  assertEquals(parseTrace(ready, OWN), { kind: "lost", chains: [] });
  assertEquals(isReady(MARKED, OWN), false);
});
